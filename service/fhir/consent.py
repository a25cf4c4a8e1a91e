"""What a patient's Consents (FHIR R4) say about writing the note of a visit: a rule that rather asks a person (docs/consent.md).

Only what is unmistakable is decided here. Whatever limits a consent to actors, actions, data or the like is for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from service.fhir.elements import Json, element, mapping, mappings, string
from service.fhir.references import ForeignBase, parse
from service.fhir.times import has_time_of_day, moment

Verdict = Literal["permit", "deny", "unclear", "silent"]
"""`silent`: it says nothing about us, or is not in force."""

_NOT_IN_FORCE = ("draft", "proposed", "rejected", "inactive", "entered-in-error")  # FHIR R4 consent-state-codes
_ABOUT_CARE, _ABOUT_OTHERS = {"patient-privacy", "treatment"}, {"research", "adr"}  # FHIR R4 consentscope
_POLICIES: dict[str, Verdict] = {"OPTIN": "permit", "OPTOUT": "deny"}  # v3-ActCode _ActConsentDirective
_LIMITS = ("actor", "action", "securityLabel", "class", "code", "dataPeriod", "data", "modifierExtension")
_KNOWN = (*_LIMITS, "type", "period", "purpose", "provision", "id", "extension")
_TREATMENT = "TREAT"  # v3-ActReason
_FIRST_ZONE, _LAST_ZONE = timedelta(hours=-14), timedelta(hours=12)
"""From UTC to where a day begins first (UTC+14) and last (UTC-12), by the time zone database."""


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
    """A lenient server finds more than was asked for. None where no reference of ours says whose it is: one to another base
    may be our own server by a name that we do not know."""
    try:
        named = parse(string(consent, "patient", "reference") or "", base)
    except ForeignBase:
        return None
    return str(named) if named else None


def _of_category(consent: Json, categories: Sequence[str]) -> bool | None:
    """None where it cannot be told."""
    codings = [coding for one in mappings(consent, "category") for coding in mappings(one, "coding")]
    named = [(coding.get("system"), code) for coding in codings if (code := string(coding, "code"))]
    if {name for system, code in named for name in (code, f"{system}|{code}")} & set(categories):
        return True
    return False if len(named) == sum("code" in coding for coding in codings) else None


def _of_scope(consent: Json) -> bool | None:
    """None where it cannot be told."""
    codes = {string(coding, "code") for coding in mappings(consent, "scope", "coding")}
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
    if own is None or _is_limited(root, own) or policy == "unclear" or (own, policy) == ("permit", "deny"):
        return "unclear"
    whole = _with_exceptions(own, list(_exceptions(root, now)))
    return whole if whole != "permit" or _in_force(root, now, wherever=True) else "silent"


def _policy(consent: Json) -> Verdict | None:
    """None without one that is known here, `unclear` for one that contradicts itself or cannot be read."""
    rule = consent.get("policyRule")
    codings = element(rule, "coding") or []
    codes = [element(coding, "code") for coding in codings] if isinstance(codings, list) else [codings]
    if (rule is not None and not isinstance(rule, dict)) or not all(isinstance(code, str | None) for code in codes):
        return "unclear"
    said = {_POLICIES[code] for code in codes if code in _POLICIES}
    return "unclear" if len(said) > 1 else next(iter(said), None)


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


def _in_force(provision: object, now: datetime, wherever: bool = False) -> bool | None:
    """By its period, whose last day is a day of it (FHIR R4 §2.24.0.8). None where that cannot be read.

    A date may be of any zone: it holds where it does in one of them, or `wherever` in all.
    """
    period = element(provision, "period")
    if period is None:
        return True
    if mapping(provision, "period") is None:
        return None
    start, end = period.get("start"), period.get("end")
    starts, ends = _moment(start), _moment(end)
    if (start is not None and starts is None) or (end is not None and ends is None):
        return None
    begun = not starts or now >= _shifted(str(start), starts, _LAST_ZONE if wherever else _FIRST_ZONE)
    over = ends and now >= _shifted(str(end), _last_of(str(end), ends), _FIRST_ZONE if wherever else _LAST_ZONE)
    return begun and not over


def _moment(text: object) -> datetime | None:
    return moment(text) if isinstance(text, str) else None


def _shifted(text: str, utc: datetime, zone: timedelta) -> datetime:
    """When the date `text`, read as UTC, is in that zone; a time of day has its own."""
    return utc if has_time_of_day(text) else _plus(utc, zone)


def _last_of(text: str, first: datetime) -> datetime:
    """Where the year, month, day or second that a text names is over; `first` is its first moment."""
    match len(text):
        case 4:
            return _plus(first, timedelta(days=366)).replace(month=1, day=1)
        case 7:
            return _plus(first, timedelta(days=31)).replace(day=1)
        case 10:
            return _plus(first, timedelta(days=1))
    return _plus(first, timedelta(seconds=1))


def _plus(when: datetime, more: timedelta) -> datetime:
    """Within the years that can be told: a period may end on 9999-12-31."""
    try:
        return when + more
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if more > timedelta() else datetime.min.replace(tzinfo=UTC)
