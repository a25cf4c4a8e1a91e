"""The SMART scopes that this service asks for, and what is missing of those that it was given (SMART App Launch 2.2 §3)."""

from __future__ import annotations

import re
from collections.abc import Collection

WISHED = {
    "Media": "rs",
    "Encounter": "rs",
    "Binary": "r",
    "Patient": "r",
    "Practitioner": "r",
    "DocumentReference": "crus",
    "Device": "crs",
    "Provenance": "cs",
}
"""Rights by resource type, in the letters of v2: create, read, update, delete, search."""

NEEDED = {"Media": "r", "Encounter": "r", "Patient": "r", "DocumentReference": "crus"}
"""Without these no note is filed. Binary: only where the EHR has the audio; the others: what a note says beside its text."""

_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_SCOPE = re.compile(r"system/(?P<type>[A-Za-z]+|\*)\.(?P<rights>read|write|\*|c?r?u?d?s?)(?P<query>\?.*)?")


def wished_scopes(capabilities: Collection[str]) -> str:
    """In the spelling that the server's `capabilities` name; in v2 where they name both or none."""
    if "permission-v1" in capabilities and "permission-v2" not in capabilities:
        return " ".join(
            f"system/{kind}.{word}"
            for kind, rights in WISHED.items()
            for word in ("read", "write")
            if set(_V1[word]) & set(rights)
        )
    return " ".join(f"system/{kind}.{rights}" for kind, rights in WISHED.items())


def missing_scopes(granted: str | None) -> list[str]:
    """What is needed and not granted, as v2 scopes: `system/DocumentReference.u`. Nothing where the answer named no scope
    (then all that was asked for is granted, RFC 6749 §5.1), or none of SMART's."""
    found = [match for word in (granted or "").split() if (match := _SCOPE.fullmatch(word)) and match["rights"]]
    if not found:
        return []
    rights = {kind: _rights_of(kind, found) for kind in NEEDED}
    return [
        f"system/{kind}.{lacking}"
        for kind, needed in NEEDED.items()
        if (lacking := "".join(right for right in needed if right not in rights[kind]))
    ]


def _rights_of(kind: str, granted: Collection[re.Match[str]]) -> set[str]:
    """A scope that is narrowed by a query still counts: which resources it leaves out only the server knows."""
    return {
        right
        for match in granted
        if match["type"] in (kind, "*")
        for right in _V1.get(match["rights"], match["rights"])
    }
