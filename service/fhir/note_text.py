"""The words of a note, whatever form they are sent in.

No character is lost or changed: not at the ends of a section, not of a line break, and nothing is normalised. Left out
are the characters that FHIR R4 forbids in a string (below U+0020, but tab, line feed and carriage return), and what is no
character at all: half a surrogate pair, U+FFFE and U+FFFF, which neither UTF-8 nor XML can hold.
"""

from __future__ import annotations

import re

from service.fhir.note import Note

_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
FIRST_LINE = "AI-drafted note. Not yet reviewed by a clinician."
NOTHING = "Nothing recorded."


def note_text(note: Note) -> str:
    """The readable note: says first that a machine drafted it, then each section under its heading."""
    return "\n\n".join([FIRST_LINE, *(f"{heading}\n{text}" for heading, text in note_sections(note))]) + "\n"


def note_sections(note: Note) -> list[tuple[str, str]]:
    """Heading and text of each section, as they are sent. A section without a word says so."""
    sections = [(_allowed(heading), _allowed(text)) for heading, text in note.sections]
    return [(heading, text if text.strip() else NOTHING) for heading, text in sections]


def note_title(note: Note) -> str:
    """In one line, which is all that lists of notes show."""
    return " ".join(_allowed(note.title).split()) or "Note"


def characters_removed(note: Note) -> int:
    """How many characters of the title, headings and texts cannot be sent."""
    texts = [note.title, *(part for section in note.sections for part in section)]
    return sum(len(_FORBIDDEN.findall(text)) for text in texts)


def _allowed(text: str) -> str:
    return _FORBIDDEN.sub("", text)
