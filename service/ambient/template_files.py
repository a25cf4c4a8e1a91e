"""Templates are data: one YAML file each in `templates/`, read and checked once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import BadConfiguration

_FOLDER = Path(__file__).parent / "templates"
_PREFIX = "corti-"


class Described(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(pattern=r"^[a-z0-9-]+$")
    name: str = Field(min_length=1)
    description: str = Field(min_length=1)


class Section(Described):
    pass


class Template(Described):
    """`languages` are BCP 47 tags; sections stand in the order of the note."""

    languages: list[str] = Field(min_length=1)
    sections: list[Section] = Field(min_length=1)

    def speaks(self, language: str) -> bool:
        """Exactly this language, or the same without its region; letter case does not matter."""
        known = {tag.lower() for tag in self.languages}
        return language.lower() in known or language.partition("-")[0].lower() in known


class Templates:
    """By key, in the order of the keys."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self._by_key: Mapping[str, Template] = {template.key: template for template in templates}

    def all(self) -> list[Template]:
        return list(self._by_key.values())

    def find(self, key: str) -> Template | None:
        """`soap` finds `corti-soap`: older callers leave the prefix out."""
        return self._by_key.get(key) or self._by_key.get(_PREFIX + key)

    def sections(self) -> list[Section]:
        """Every section once."""
        found = {section.key: section for template in self.all() for section in template.sections}
        return list(found.values())


@cache
def bundled_templates() -> Templates:
    """Those that come with the project. Raises BadConfiguration naming the file and what is wrong in it."""
    return read_templates(_FOLDER)


def read_templates(folder: Path) -> Templates:
    templates = [_read(file) for file in sorted(folder.glob("*.yaml"))]
    if not templates:
        raise BadConfiguration(f"{folder}: no templates found")
    return Templates(templates)


def _read(file: Path) -> Template:
    try:
        template = Template.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise BadConfiguration(f"{file.name}: not valid YAML ({type(error).__name__})") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise BadConfiguration(f"{file.name}: {problems}") from None
    keys = [section.key for section in template.sections]
    if template.key != file.stem or len(keys) != len(set(keys)):
        raise BadConfiguration(f"{file.name}: `key` must be the file's name, and each section may come once")
    return template
