"""A note as a PDF that shows every character of it, or is refused. The same note always gives the same bytes.

The font comes along (DejaVu Sans: Latin, Greek, Cyrillic, Hebrew, Arabic, Armenian, Georgian, symbols, some emoji), so that the
PDF looks the same everywhere. Line breaks and tabs become layout. Arabic is joined and right-to-left text ordered.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import bidirectional

from service.fhir.note import Note
from service.fhir.note_text import FIRST_LINE, note_sections, note_title

_FONT = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
_FAMILY = "DejaVu"
_TAB = "    "
_SIMPLE = re.compile(r"[\n\u0020-\u007e\u00a0-\u02ff\u0370-\u0482\u048a-\u058f]*")
"""Scripts without joining, order or combining marks, which the shaping engine would set no otherwise, but slowly."""


def note_pdf(note: Note) -> bytes:
    """Raises ValueError for a character that the font does not have. Imports the PDF library (0.4 s) at first use."""
    sections = [(_laid_out(heading), _laid_out(text)) for heading, text in note_sections(note)]
    title = _laid_out(note_title(note))
    _refuse_unshown(title, *(part for section in sections for part in section))
    page = _first_page(note, title)
    _write(page, FIRST_LINE, size=9)
    for heading, text in sections:
        page.ln(3)
        _write(page, heading, size=13)
        _write(page, text, size=10)
    return bytes(page.output())


def _first_page(note: Note, title: str) -> Any:
    """Its metadata hold the title, the language and when the note was written: nothing of the patient, no clock."""
    from fpdf import FPDF

    page = FPDF(format="A4")
    page.set_creation_date(note.written_at)
    page.set_title(title)
    page.set_lang(note.language)
    page.add_font(_FAMILY, fname=_FONT)
    page.add_page()
    page.set_font(_FAMILY, size=10)
    return page


def _write(page: Any, text: str, *, size: int) -> None:
    page.set_font(_FAMILY, size=size)
    page.set_text_shaping(use_shaping_engine=not _SIMPLE.fullmatch(text))
    for line in text.split("\n"):
        page.multi_cell(w=0, text=line, align="R" if _is_right_to_left(line) else "L", new_x="LMARGIN", new_y="NEXT")


def _is_right_to_left(line: str) -> bool:
    """By its first strong character (Unicode UAX #9, rule P2)."""
    kinds = (bidirectional(character) for character in line)
    return next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L"


def _laid_out(text: str) -> str:
    return re.sub(r"\r\n?", "\n", text).replace("\t", _TAB)


def _refuse_unshown(*texts: str) -> None:
    if not {ord(character) for text in texts for character in text if character != "\n"} <= _shown():
        raise ValueError("not a PDF: the font lacks a character of the note; send text/plain or XHTML")


@cache
def _shown() -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(_FONT) as font:
        return frozenset(font.getBestCmap())
