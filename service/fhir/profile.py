"""What a destination wants its DocumentReferences to look like: data in `profiles/*.yaml`, one schema here (docs/profiles.md)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, ValidationError, model_validator

from service.errors import BadConfiguration
from service.fhir.beyond_profiles import UNVERIFIED, beyond
from service.fhir.element_paths import ELEMENTS
from service.fhir.profile_files import read_profile


def _an_element(path: str) -> str:
    if path not in ELEMENTS:
        raise ValueError("not an element of DocumentReference")
    return path


ElementPath = Annotated[str, AfterValidator(_an_element)]
ContentType = Literal["text/plain; charset=utf-8", "text/plain", "application/xhtml+xml", "application/pdf"]
AuthorType = Literal["Practitioner", "PractitionerRole", "Organization", "Device"]

_ONLY_IF_FORCED = frozenset({
    "securityLabel", "context.event", "context.facilityType", "context.practiceSetting", "meta.profile",
    "meta.tag", "language", "extension",
})  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Coding(_Part):
    system: str
    code: str
    display: str | None = None


class DocumentType(_Part):
    """A CodeableConcept: `text` is what a person reads where the code's own display is not sent."""

    coding: tuple[Coding, ...] = Field(min_length=1)
    text: str | None = None


class Writing(_Part):
    """What the destination takes; None: as its /metadata says."""

    conditional_create: bool | None = None
    identifier_search: bool | None = None
    update: bool | None = None
    provenance: bool | None = None  # a Provenance may be created
    device: bool | None = None  # a Device may be created
    bundle: bool = False  # IHE MHD ITI-65: Binary, DocumentReference and SubmissionSet List in one transaction


class Profile(_Part):
    """A DocumentReference is built whole; then `forbidden` elements are left out, `forced` ones set, `fallbacks` used for
    what is missing, and `required` ones looked for. What makes it this note is beyond all of them
    (`service/fhir/beyond_profiles.py`).

    `source_id` is who submits, to IHE MHD; `time_of_day` leaves out an end of `context.period` that is a date alone.
    `masterIdentifier`, `text` and `context.sourcePatientInfo` are sent only where they are required. `types` are by
    template, `default` for the others; without it the codes of `service/fhir/codes.py`. `largest` counts the bytes of
    one attachment before base64.
    """

    name: str
    writing: Writing = Writing()
    doc_status: Literal["preliminary", "final", "amended"] | bool = True
    categories: tuple[Coding, ...] = ()
    types: dict[str, DocumentType] = {}
    format: Coding | None = None
    security_label: bool = True
    related: bool = True
    authors: tuple[AuthorType, ...] = ("Practitioner", "PractitionerRole", "Organization", "Device")
    contents: tuple[ContentType, ...] = Field(("text/plain; charset=utf-8",), min_length=1)
    inline: bool = True
    largest: ByteSize = Field(ByteSize(5_000_000), gt=0)
    time_of_day: bool = False
    source_id: str | None = Field(None, pattern=r"^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$")
    required: tuple[ElementPath, ...] = ()
    forbidden: tuple[ElementPath, ...] = ()
    forced: dict[ElementPath, Any] = {}
    fallbacks: dict[ElementPath, ElementPath] = {}

    @model_validator(mode="after")
    def _can_be_met(self) -> Profile:
        faults = [f"{path} is required but {why}" for path in self.required if (why := self._never(path))]
        faults += beyond(self.forced, self.fallbacks, self.forbidden, found_by_identifier=self._finds())
        if self.writing.bundle and self.inline:
            faults.append("`writing.bundle` sends contents as Binaries: `inline` must be false")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _finds(self) -> bool:
        """Whether the destination may look for a note by its identifier, now or when its /metadata says so."""
        return not (self.writing.conditional_create is False and self.writing.identifier_search is False)

    def _never(self, path: str) -> str | None:
        """Why no note could ever have this element."""
        if any(path == other or path.startswith(f"{other}.") for other in self.forbidden):
            return "forbidden as well"
        if path == "authenticator":
            return UNVERIFIED
        if path in self.forced or path in self.fallbacks:
            return None
        if path in _ONLY_IF_FORCED:
            return "has no value: give it one under `forced`"
        return dict(self._switched_off()).get(path)

    def _switched_off(self) -> Iterator[tuple[str, str]]:
        inline, separate = "content.attachment.data", "content.attachment.url"
        yield (separate, "`inline` is true") if self.inline else (inline, "`inline` is false")
        if not self.doc_status:
            yield "docStatus", "`doc_status` is false"
        if not self.categories:
            yield "category", "`categories` is empty"
        if not self.format:
            yield "content.format", "`format` has no value"
        if not self.security_label:
            yield "meta.security", "`security_label` is false"
        if not self.related:
            yield "context.related", "`related` is false"
        if not self.authors:
            yield "author", "`authors` is empty"


@cache
def load_profile(name: str) -> Profile:
    """A bundled profile by name, or a YAML file by path, on top of the one that it `extends`. Raises BadConfiguration."""
    described = read_profile(name)
    try:
        return Profile.model_validate(described)
    except ValidationError as error:
        wrong = "; ".join(_fault(issue["loc"], issue["msg"]) for issue in error.errors(include_input=False))
        raise BadConfiguration(f"AMBIENT_EHR__PROFILE={name}: {wrong}") from None


def _fault(place: tuple[int | str, ...], words: str) -> str:
    words = words.removeprefix("Value error, ")
    return f"{'.'.join(str(part) for part in place)}: {words}" if place else words
