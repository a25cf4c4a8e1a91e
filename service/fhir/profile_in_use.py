"""The profile that the settings name, if every note can be what it requires: found out at the start, not at the first note."""

from __future__ import annotations

from collections.abc import Iterator

from service.ehr_settings import Ehr
from service.errors import BadConfiguration
from service.fhir.profile import Profile, load_profile
from service.settings import Settings

_KINDS = {
    "device+practitioner": {"Device", "Practitioner", "PractitionerRole"},
    "device": {"Device"},
    "practitioner": {"Practitioner", "PractitionerRole"},
    "none": set(),
}


def profile_in_use(settings: Settings) -> Profile:
    """Raises BadConfiguration naming the profile, the element and the setting that keeps it out."""
    profile = load_profile(settings.ehr.profile)
    for fault in _faults(profile, settings.ehr, settings.notes.templates):
        raise BadConfiguration(f"AMBIENT_EHR__PROFILE={settings.ehr.profile}: {fault}")
    return profile


def _faults(profile: Profile, ehr: Ehr, templates: list[str]) -> Iterator[str]:
    if "custodian" in profile.required and "custodian" not in profile.forced and not ehr.organization:
        yield "custodian is required: set AMBIENT_EHR__ORGANIZATION"
    if "author" in profile.required and not _KINDS[ehr.author] & set(profile.authors):
        yield f"author is required, and AMBIENT_EHR__AUTHOR={ehr.author} names none that it takes"
    if profile.types and "default" not in profile.types:
        for template in templates:
            if template not in profile.types:
                yield f"types: none for the template {template} of AMBIENT_NOTES__TEMPLATES, and no `default`"
