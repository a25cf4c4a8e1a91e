"""What a patient's Consents (FHIR R4) say about writing the note of a visit: a rule that rather asks a person (docs/consent.md).

Only what is unmistakable is decided here. Whatever limits a consent to actors, actions, data or the like is for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from service.fhir.elements import Json, element, mapping, mappings, string
from service.fhir.references import ForeignBase, parse
from service.fhir.times import moment

Verdict = Literal["permit", "deny", "unclear", "silent"]
"""`silent`: it says nothing about us, or is not in force."""

_NOT_IN_FORCE = ("draft", "proposed", "rejected", "inactive", "entered-in-error")  # FHIR R4 consent-state-codes
_ABOUT_CARE, _ABOUT_OTHERS = {"patient-privacy", "treatment"}, {"research", "adr"}  # FHIR R4 consentscope
_POLICIES: dict[str, Verdict] = {"OPTIN": "permit", "OPTOUT": "deny"}  # v3-ActCode _ActConsentDirective
_LIMITS = ("actor", "action", "securityLabel", "class", "code", "dataPeriod", "data", "modifierExtension")
_KNOWN = (*_LIMITS, "type", "period", "purpose", "provision", "id", "extension")
_TREATMENT = "TREAT"  # v3-ActReason


def verdict(
    consents: Iterable[Json], patient: str, base: str, now: datetime, categories: Sequence[str] = ()
) -> Verdict:
    """What all Consents say together for this patient (`Patient/id`): one denial is enough, then one that is unclear.

    With `categories` (`code` or `system|code`) only Consents of one of them count; without, those whose scope is
    patient-privacy or treatment.
    """
    said = {_of(consent, patient, base, now, categories) for consent in consents}
    order: tuple[Verdict, ...] = ("deny", "unclear", "permit")
    return next((one for one in order if one in said), "silent")


def _of(consent: Json, patient: str, base: str, now: datetime, categories: Sequence[str]) -> Verdict:
    whose = _whose(consent, base)
    if consent.get("status") in _NOT_IN_FORCE or whose not in (patient, None):
        return "silent"
    concerns = _of_category(consent, categories) if categories else _of_scope(consent)
    if concerns is False:
        return "silent"
    if concerns is None or whose is None or consent.get("status") != "active":
        return "unclear"
    if consent.keys() & {"modifierExtension", "implicitRules", "decision"}:  # the last is R5's
        return "unclear"
    return _decided(consent, now)


def _whose(consent: Json, base: str) -> str | None:
    """A lenient server finds more than was asked for. None where no reference says whose it is."""
    try:
        named = parse(string(consent, "patient", "reference") or "", base)
    except ForeignBase:
        return "elsewhere"
    return str(named) if named else None


def _of_category(consent: Json, categories: Sequence[str]) -> bool:
    codings = [coding for one in mappings(consent, "category") for coding in mappings(one, "coding")]
    names = {
        name for coding in codings for name in (coding.get("code"), f"{coding.get('system')}|{coding.get('code')}")
    }
    return bool(names & set(categories))


def _of_scope(consent: Json) -> bool | None:
    """None where it cannot be told."""
    codes = {coding.get("code") for coding in mappings(consent, "scope", "coding")}
    if codes & _ABOUT_CARE:
        return True
    return False if codes and codes <= _ABOUT_OTHERS else None


def _decided(consent: Json, now: datetime) -> Verdict:
    root = consent.get("provision")
    policy = _policy(consent)
    if root is None:
        return policy or "unclear"
    if not isinstance(root, dict):
        return "unclear"
    in_force = _in_force(root, now)
    if in_force is not True:
        return "unclear" if in_force is None else "silent"
    own = _kind(root) if "type" in root else policy  # R4 allows no type in the root: its policyRule is the rule then
    if own is None or _is_limited(root, own):
        return "unclear"
    return _with_exceptions(own, list(_exceptions(root, now)))


def _policy(consent: Json) -> Verdict | None:
    codes = [str(coding.get("code")) for coding in mappings(consent, "policyRule", "coding")]
    return next((_POLICIES[code] for code in codes if code in _POLICIES), None)


def _kind(provision: Mapping[str, Any]) -> Verdict | None:
    match provision.get("type"):
        case "permit":
            return "permit"
        case "deny":
            return "deny"
    return None


def _is_limited(provision: Mapping[str, Any], own: Verdict) -> bool:
    """To something that this service cannot judge. Documentation is treatment, so a permission for that purpose is whole."""
    if provision.keys() & set(_LIMITS) or provision.keys() - set(_KNOWN):
        return True
    purposes = [string(purpose, "code") for purpose in mappings(provision, "purpose")]
    return "purpose" in provision and not (own == "permit" and _TREATMENT in purposes)


def _exceptions(root: Mapping[str, Any], now: datetime) -> Iterator[Verdict]:
    """What each nested provision that is in force says; one with exceptions of its own is beyond this rule."""
    nested = root.get("provision")
    if nested is not None and not isinstance(nested, list):
        yield "unclear"
    for one in nested if isinstance(nested, list) else ():
        in_force = _in_force(one, now)
        if in_force is False:
            continue
        own = _kind(one) if isinstance(one, dict) and in_force else None
        yield "unclear" if own is None or "provision" in one or _is_limited(one, own) else own


def _with_exceptions(own: Verdict, exceptions: Sequence[Verdict]) -> Verdict:
    """A whole denial inside is one; a denial that permits after all contradicts itself."""
    if "unclear" in exceptions or (own == "deny" and "permit" in exceptions):
        return "unclear"
    return "deny" if "deny" in exceptions else own


def _in_force(provision: object, now: datetime) -> bool | None:
    """By its period, whose last day is a day of it (FHIR R4 §2.24.0.8). None where that cannot be read."""
    period = element(provision, "period")
    if period is None:
        return True
    if mapping(provision, "period") is None:
        return None
    start, end = period.get("start"), period.get("end")
    starts, ends = _moment(start), _moment(end)
    if (start is not None and starts is None) or (end is not None and ends is None):
        return None
    return not (starts and now < starts) and not (ends and now >= _last_of(str(end), ends))


def _moment(text: object) -> datetime | None:
    return moment(text) if isinstance(text, str) else None


def _last_of(text: str, first: datetime) -> datetime:
    """Where the year, month, day or second that a text names is over; `first` is its first moment."""
    match len(text):
        case 4:
            return first.replace(year=first.year + 1)
        case 7:
            return (first + timedelta(days=31)).replace(day=1)
        case 10:
            return first + timedelta(days=1)
    return first + timedelta(seconds=1)
