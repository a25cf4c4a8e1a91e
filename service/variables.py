"""Where settings come from: the environment, files that hold secrets, and what is refused of both as misspelt."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from service.errors import BadConfiguration

SECRETS = {
    "ambient_broker__url", "ambient_database__url", "ambient_engine__client_secret", "ambient_ehr__auth__token",
    "ambient_ehr__auth__password", "ambient_ehr__auth__client_secret", "ambient_api__clients", "ambient_api__events_secret",
}  # fmt: skip
"""Variables that may be given as `<NAME>_FILE`."""


class Variables(EnvSettingsSource):
    """The environment; every secret may also be given as `<NAME>_FILE`, as orchestrators mount them."""

    def _load_env_vars(self) -> dict[str, str | None]:
        found = dict(super()._load_env_vars())
        for name, path in list(found.items()):
            target = name.removesuffix("_file")
            if path and name.endswith("_file") and target in SECRETS:
                found[target] = _secret(Path(path), name)
                del found[name]
        folder = found.pop("ambient_secrets_dir", None)
        for file in _files(Path(folder)) if folder else ():
            found.setdefault(file.name.lower(), _secret(file, file.name))
        return found

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            name = next((name for name, given in self.env_vars.items() if given == value), field_name)
            raise BadConfiguration(f"{name.upper()} is not valid JSON") from None


def _files(folder: Path) -> list[Path]:
    try:
        return [
            file for file in sorted(folder.iterdir()) if file.is_file() and file.name.lower().startswith("ambient_")
        ]
    except OSError as error:
        raise BadConfiguration(f"AMBIENT_SECRETS_DIR names a folder that cannot be read: {error.strerror}") from None


def _secret(file: Path, name: str) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadConfiguration(f"{name.upper()} names a file that cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadConfiguration(f"{name.upper()} names a file that is not UTF-8 text") from None


def refuse_misspelt(settings: type[BaseModel]) -> None:
    """Raises BadConfiguration for a variable that was surely meant for us. Others may bear our prefix by chance, as
    those do that Kubernetes makes for a Service of our name."""
    known = set(_names(settings, "AMBIENT"))
    joined = {re.sub("_+", "_", name): name for name in known}
    folder = os.environ.get("AMBIENT_SECRETS_DIR")
    given = {name.upper(): value for name, value in os.environ.items()}
    given |= {file.name.upper(): "" for file in _files(Path(folder))} if folder else {}
    for name in sorted(name for name in given if name.startswith("AMBIENT_")):
        secret = name.removesuffix("_FILE").lower() in SECRETS
        by_kubernetes = "_SERVICE_" in name or given[name].startswith(("tcp://", "udp://"))
        if name in known or secret or by_kubernetes or name.startswith("AMBIENT_API__CLIENTS__"):
            continue
        meant = joined.get(re.sub("_+", "_", name))
        if meant or "__" in name:
            raise BadConfiguration(
                f"{name} is not a setting" + (f": write {meant}" if meant else "; docs/settings.md lists them")
            )


def _names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        separator = "_" if prefix == "AMBIENT" else "__"
        full, kind = f"{prefix}{separator}{name.upper()}", field.annotation
        yield full
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _names(kind, full)
