"""Outcomes are exception types.

A delivery that cannot be taken in raises `Rejected` and ends as a dead letter. A step of a visit that cannot go on
raises `NotYet` or `Retryable` (the visit waits until its `next_at`), or `NeedsPerson` (the visit is parked). Anything
else that escapes is a bug: the visit is parked with its traceback.

No message here may carry PHI: reasons are fixed words, details name ids, statuses and FHIR element paths only. The id of a
Patient is PHI too, wherever a detail comes from: it is left out here.
"""

from __future__ import annotations

import re

_PATIENT = re.compile(r"\bPatient/[A-Za-z0-9\-.]+")


class AmbientFhirError(Exception):
    """The root of the errors that this project raises on purpose. Its text is safe to log."""


class BadConfiguration(AmbientFhirError):
    """A setting cannot work; the text says which one and what to set instead."""


class Rejected(AmbientFhirError):
    """A delivery that can never be taken in: not decodable, not FHIR, too large, a foreign EHR."""

    def __init__(self, reason: str, detail: str = "") -> None:
        detail = _unnamed(detail)
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Ignored(AmbientFhirError):
    """A delivery that is fine and needs no work: a handshake, a heartbeat, a resource type that we do not read."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotYet(AmbientFhirError):
    """Nothing is wrong, something is still being awaited: look again `after` seconds from now.

    Once the visit has waited `at_most` seconds for this same reason, it is parked with it; None waits for ever.
    """

    def __init__(self, reason: str, after: float, detail: str = "", at_most: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after
        self.detail = _unnamed(detail)
        self.at_most = at_most


class Retryable(AmbientFhirError):
    """The other side failed in a way that may pass. `after` is its own wish in seconds (Retry-After), else None.

    `parked` names the destination (`ehr`, `engine`) that is left alone for now, so that nothing was even sent to it.
    """

    def __init__(self, reason: str, detail: str = "", after: float | None = None, parked: str | None = None) -> None:
        detail = _unnamed(detail)
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.after = after
        self.parked = parked


class NeedsPerson(AmbientFhirError):
    """The visit cannot go on without a person; `detail` says what they can do. `alarm`: a note may be in a wrong chart."""

    def __init__(self, reason: str, detail: str = "", alarm: bool = False) -> None:
        detail = _unnamed(detail)
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.alarm = alarm


class IssuerUnavailable(AmbientFhirError):
    """The OpenID Connect issuer does not say now which keys are its own; the text says why."""


class LostLease(AmbientFhirError):
    """Another runner holds the visit now; whatever this one still wants to write must not be written."""


class NotNow(AmbientFhirError):
    """What an operator asks cannot be done with the visit as it is now; the text says why."""


class BadAudio(AmbientFhirError):
    """The recording cannot be used. `reason`: empty, undecodable, too_long, no_speech."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


def _unnamed(detail: str) -> str:
    return _PATIENT.sub("the Patient", detail)
