"""What no profile may decide: whose note it is, what it says, and who vouches for it (docs/profiles.md)."""

from __future__ import annotations

from collections.abc import Collection, Iterator

UNVERIFIED = "nobody has verified a draft"
_ITS_WORDS = "the note's words are its content"
_ITS_VISIT = "the visit says where it belongs"
_ON_DEMAND = "name it under `required`"
_LABELLED = "`security_label` says whether labels are sent, `meta.profile` and `meta.tag` may be forced"

_THE_NOTES_OWN = {
    "subject": _ITS_VISIT,
    "context": "name the element that you mean",
    "context.encounter": _ITS_VISIT,
    "context.sourcePatientInfo": _ON_DEMAND,
    "context.related": "`related` says whether the recordings are sent",
    "identifier": "the note is found by it",
    "masterIdentifier": _ON_DEMAND,
    "relatesTo": "the note says itself what it replaces",
    "status": "a note is filed as current",
    "docStatus": "use `doc_status`",
    "date": "it is when the note was written",
    "author": "use `authors` and AMBIENT_EHR__AUTHOR",
    "authenticator": UNVERIFIED,
    "meta": _LABELLED,
    "meta.security": _LABELLED,
    "description": "it says that a machine drafted the note",
    "text": _ON_DEMAND,
    "content": _ITS_WORDS,
    "content.attachment": _ITS_WORDS,
    "content.attachment.data": _ITS_WORDS,
    "content.attachment.url": _ITS_WORDS,
    "content.attachment.size": _ITS_WORDS,
    "content.attachment.hash": _ITS_WORDS,
    "content.attachment.contentType": "use `contents`",
    "content.attachment.creation": "it is when the note was written",
}
_OF_EACH_VISIT = dict.fromkeys(
    ("context.period", "context.period.start", "context.period.end"), "each visit has its own: use `fallbacks`"
)
_INDISPENSABLE = frozenset({
    "subject", "status", "type", "content", "content.attachment", "content.attachment.data", "content.attachment.url",
    "content.attachment.contentType",
})  # fmt: skip


def beyond(
    forced: Collection[str], fallbacks: Collection[str], forbidden: Collection[str], *, found_by_identifier: bool
) -> Iterator[str]:
    """What is wrong with these element paths, in words for whoever wrote the profile."""
    for field, paths, refused in (
        ("forced", forced, {**_THE_NOTES_OWN, **_OF_EACH_VISIT}),
        ("fallbacks", fallbacks, _THE_NOTES_OWN),
    ):
        yield from (f"{field}.{path}: not a profile's to say: {refused[path]}" for path in paths if path in refused)
    for path in forbidden:
        if path in _INDISPENSABLE:
            yield f"forbidden: {path}: without it there is no note"
        if path == "identifier" and found_by_identifier:
            yield (
                "forbidden: identifier: the note is found by it, and is not created twice; where the destination takes none, "
                "`writing.conditional_create` and `writing.identifier_search` must be false"
            )
