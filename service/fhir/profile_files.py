"""Profiles as files: the bundled ones by name, the user's own by path, each perhaps on top of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service.errors import BadConfiguration

_FOLDER = Path(__file__).parent / "profiles"
_DEEPEST = 8


def bundled_profiles() -> list[str]:
    return sorted(file.stem for file in _FOLDER.glob("*.yaml"))


def read_profile(name: str) -> Any:
    """What the file says, upon what the profile says that it `extends`: each key of `types`, `forced` and other mappings
    goes over the same key below, all else is replaced.

    A path in `extends` counts from the file that has it. Raises BadConfiguration.
    """
    return _read(name, Path(), name, _DEEPEST)


def _read(name: str, folder: Path, asked: str, depth: int) -> Any:
    said = _parsed(name, folder, asked)
    below = said.pop("extends", None) if isinstance(said, dict) else None
    if below is None:
        return said
    if not isinstance(below, str) or not depth:
        raise BadConfiguration(
            f"AMBIENT_EHR__PROFILE={asked}: extends: neither a profile's name nor a YAML file's path"
        )
    file = _file(name, folder)
    return _upon(_read(below, file.parent, asked, depth - 1), said)


def _file(name: str, folder: Path) -> Path:
    return folder / name if name.endswith((".yaml", ".yml")) else _FOLDER / f"{name}.yaml"


def _parsed(name: str, folder: Path, asked: str) -> Any:
    import yaml

    path, setting = _file(name, folder), f"AMBIENT_EHR__PROFILE={asked}"
    if not path.is_file():
        known = ", ".join(bundled_profiles())
        raise BadConfiguration(f"{setting}: no such profile: {name}; known: {known}, or the path of a YAML file")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        at = getattr(error, "problem_mark", None)
        place = f" at line {at.line + 1}" if at else ""
        raise BadConfiguration(f"{setting}: not YAML{place}") from None
    except OSError as error:
        raise BadConfiguration(f"{setting}: the file cannot be read: {error.strerror}") from None


def _upon(below: Any, above: Any) -> Any:
    if not _both_mappings(below, above):
        return above
    merged = {key: {**below[key], **value} for key, value in above.items() if _both_mappings(below.get(key), value)}
    return {**below, **above, **merged}


def _both_mappings(*values: Any) -> bool:
    return all(isinstance(value, dict) for value in values)
