"""What a destination wants its DocumentReferences to look like: data in `profiles/*.yaml`, one schema here."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from service.errors import BadConfiguration

_FOLDER = Path(__file__).parent / "profiles"


class Coding(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str
    code: str
    display: str | None = None


class Profile(BaseModel):
    """`categories` and `format` are sent as they stand; the switches say which optional elements the destination takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    categories: tuple[Coding, ...] = ()
    format: Coding | None = None
    doc_status: bool = True
    security_label: bool = True
    related: bool = True


@cache
def load_profile(name: str) -> Profile:
    """A bundled profile by name, or a YAML file by path. Raises BadConfiguration."""
    import yaml

    path = Path(name) if name.endswith((".yaml", ".yml")) else _FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in _FOLDER.glob("*.yaml")))
        raise BadConfiguration(
            f"AMBIENT_EHR__PROFILE={name}: no such profile; known: {known}, or the path of a YAML file"
        )
    try:
        return Profile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        wrong = "; ".join(_fault(issue["loc"], issue["msg"]) for issue in error.errors(include_input=False))
        raise BadConfiguration(f"AMBIENT_EHR__PROFILE={name}: {wrong}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        at = getattr(error, "problem_mark", None)
        place = f" at line {at.line + 1}" if at else ""
        raise BadConfiguration(f"AMBIENT_EHR__PROFILE={name}: not YAML{place}") from None
    except OSError as error:
        raise BadConfiguration(f"AMBIENT_EHR__PROFILE={name}: the file cannot be read: {error.strerror}") from None


def _fault(place: tuple[int | str, ...], words: str) -> str:
    return f"{'.'.join(str(part) for part in place)}: {words}" if place else words
