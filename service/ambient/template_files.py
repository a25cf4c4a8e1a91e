"""Templates are data: YAML files in `templates/` and in a folder of the deployment, read and checked once, at the start.

`sections.yaml` defines sections, every other file is one template: an ordered list of section keys, each with a name of its
own where it needs one. So a section means the same in every template.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from service.ambient.fact_groups import FACT_GROUPS
from service.ambient.wire.values import LANGUAGE_TAG
from service.errors import BadConfiguration

_BUNDLED = Path(__file__).parent / "templates"
_SECTIONS = "sections.yaml"
_PREFIX = "corti-"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SAID_BETTER = {
    "string_type": "must be text; YAML reads something else here, so put it in quotes",
    "model_type": "must be lines of `name: value`",
}

Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True)
class Section:
    """`groups` are keys of FACT_GROUPS; `languages` BCP 47 tags."""

    key: str
    name: str
    description: str
    groups: tuple[str, ...]
    wording: Literal["clinical", "plain"]
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """Sections stand in the order of the note."""

    key: str
    name: str
    description: str
    sections: tuple[Section, ...]
    languages: tuple[str, ...]


class Templates:
    """Templates by key, in the order of the keys; sections in the order of their files."""

    def __init__(self, templates: Iterable[Template], sections: Iterable[Section]) -> None:
        self._templates = {template.key: template for template in sorted(templates, key=lambda one: one.key)}
        self._sections = {section.key: section for section in sections}

    def all(self) -> list[Template]:
        return list(self._templates.values())

    def find(self, key: str) -> Template | None:
        """`soap` finds `corti-soap`: older callers leave the prefix out."""
        return self._templates.get(key) or self._templates.get(_PREFIX + key)

    def sections(self) -> list[Section]:
        return list(self._sections.values())

    def section(self, key: str) -> Section | None:
        return self._sections.get(key)


def speaks(described: Template | Section, language: str) -> bool:
    """Exactly this language, or the same without its region; letter case does not matter. False for what is no tag."""
    if not re.fullmatch(LANGUAGE_TAG, language):
        return False
    known = {tag.lower() for tag in described.languages}
    return language.lower() in known or language.partition("-")[0].lower() in known


def read_templates(added: Path | None = None) -> Templates:
    """Those that come with the project, and those in the folder `added`, whose keys win.

    Raises BadConfiguration that names the file, the place in it, and what is allowed there.
    """
    files = [*_files(_BUNDLED), *(_added_files(added) if added else ())]
    sections = {section.key: section for file in files if file.name == _SECTIONS for section in _sections_in(file)}
    templates = {file.stem: _template_in(file, sections) for file in files if file.name != _SECTIONS}
    return Templates(templates.values(), sections.values())


def _added_files(folder: Path) -> list[Path]:
    for file in folder.glob("*.yml"):
        raise BadConfiguration(f"{file}: name it {file.stem}.yaml")
    files = _files(folder) if folder.is_dir() else []
    if not files:
        raise BadConfiguration(f"AMBIENT_API__TEMPLATE_FOLDER={folder}: no folder with *.yaml files")
    return files


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yaml"))


def _known_group(group: str) -> str:
    if group not in FACT_GROUPS:
        raise ValueError(f"no such fact group; allowed: {', '.join(FACT_GROUPS)}")
    return group


def _by_key_alone(listed: object) -> object:
    return {"key": listed} if isinstance(listed, str) else listed


Key = Annotated[str, Field(pattern=r"^[a-z0-9-]+$", max_length=128)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
Tag = Annotated[str, Field(pattern=LANGUAGE_TAG)]


class _Written(BaseModel):
    """What somebody wrote into a file: unknown names are mistakes."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _only_known_names(cls, value: object) -> object:
        unknown = [str(name) for name in value if name not in cls.model_fields] if isinstance(value, dict) else []
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: not known here; allowed: {', '.join(cls.model_fields)}")
        return value


class _WrittenSection(_Written):
    key: Key
    name: Words
    description: Words
    groups: Annotated[tuple[Annotated[str, AfterValidator(_known_group)], ...], Field(min_length=1)]
    wording: Literal["clinical", "plain"] = "clinical"
    languages: Annotated[tuple[Tag, ...], Field(min_length=1)] = ("en",)


class _ListedSection(_Written):
    key: Key
    name: Words | None = None


class _WrittenTemplate(_Written):
    key: Key
    name: Words
    description: Words
    sections: Annotated[tuple[Annotated[_ListedSection, BeforeValidator(_by_key_alone)], ...], Field(min_length=1)]
    languages: Annotated[tuple[Tag, ...], Field(min_length=1)] = ("en",)


_SECTION_LIST = TypeAdapter(list[_WrittenSection])
_TEMPLATE = TypeAdapter(_WrittenTemplate)


def _sections_in(file: Path) -> Iterator[Section]:
    written = _read(file, _SECTION_LIST)
    _refuse_repeated(file, [section.key for section in written])
    return (Section(**dict(section)) for section in written)


def _template_in(file: Path, sections: dict[str, Section]) -> Template:
    written = _read(file, _TEMPLATE)
    if written.key != file.stem:
        raise BadConfiguration(f"{file}: key: must be the file's name, {file.stem}")
    _refuse_repeated(file, [listed.key for listed in written.sections])
    for place, listed in enumerate(written.sections):
        if listed.key not in sections:
            known = ", ".join(sections)
            raise BadConfiguration(f"{file}: sections.{place}: no section {listed.key}; {_SECTIONS} has {known}")
        if lacking := set(written.languages) - set(sections[listed.key].languages):
            raise BadConfiguration(f"{file}: languages: section {listed.key} lacks {', '.join(sorted(lacking))}")
    named = (replace(sections[one.key], name=one.name or sections[one.key].name) for one in written.sections)
    return Template(**{**dict(written), "sections": tuple(named)})


def _refuse_repeated(file: Path, keys: Sequence[str]) -> None:
    repeated = [key for key, times in Counter(keys).items() if times > 1]
    if repeated:
        raise BadConfiguration(f"{file}: section {', '.join(repeated)}: may come once only")


def _read(file: Path, shape: TypeAdapter[Shape]) -> Shape:
    try:
        return shape.validate_python(yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER))  # noqa: S506 - safe
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise BadConfiguration(f"{file}: not valid YAML{f' in line {mark.line + 1}' if mark else ''}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{file}: cannot be read ({type(error).__name__})") from None
    except ValidationError as error:
        raise BadConfiguration(f"{file}: {'; '.join(map(_problem, error.errors()))}") from None


def _problem(error: Any) -> str:
    said = _SAID_BETTER.get(error["type"], error["msg"].removeprefix("Value error, "))
    return ": ".join([*([".".join(map(str, error["loc"]))] if error["loc"] else []), said])
