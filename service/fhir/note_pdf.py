"""A note as a PDF that shows every character of it, or is refused. The same words always give the same bytes.

The font comes along (DejaVu Sans: Latin, Greek, Cyrillic, Hebrew, Arabic, Armenian, Georgian, symbols, some emoji), so that the
PDF looks the same everywhere. Line breaks and tabs become layout, U+2028 and U+2029 too. Arabic is joined and right-to-left
text ordered. What is not seen (soft hyphens, joiners, marks of direction) is in the text that is copied out of it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import bidirectional

from service.fhir.note import Note
from service.fhir.note_text import FIRST_LINE, note_sections, note_title

_FONT = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
_FAMILY = "DejaVu"
_TAB = "    "
_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_SIMPLE = re.compile(r"[\n\u0020-\u007e\u00a0-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u058f]*")
"""Scripts without joining, order or combining marks, which the shaping engine would set no otherwise, but slowly. It alone hides a soft hyphen (U+00AD)."""


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
    return _output(page)


def _first_page(note: Note, title: str) -> Any:
    """Its metadata hold the title and the language: nothing of the patient, no clock. `{nb}` is not its number of pages."""
    from fpdf import FPDF

    page = FPDF(format="A4")
    page.alias_nb_pages("")
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
        align = "R" if _is_right_to_left(line) else "L"
        page.multi_cell(w=0, text=line, align=align, print_sh=True, new_x="LMARGIN", new_y="NEXT")


def _output(page: Any) -> bytes:
    """Without a time: a draft that is prepared again must be the content that is in the EHR already."""
    from fpdf.output import OutputProducer

    class Undated(OutputProducer):
        def _add_info(self) -> Any:
            info: Any = super()._add_info()
            info.creation_date = None
            return info

    page.set_creation_date(_ANY_TIME)
    return bytes(page.output(output_producer_class=Undated))


def _is_right_to_left(line: str) -> bool:
    """By its first strong character (Unicode UAX #9, rule P2)."""
    kinds = (bidirectional(character) for character in line)
    return next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L"


def _laid_out(text: str) -> str:
    return re.sub("\r\n?|[\u2028\u2029]", "\n", text).replace("\t", _TAB)


def _refuse_unshown(*texts: str) -> None:
    if not {ord(character) for text in texts for character in text if character != "\n"} <= _shown():
        raise ValueError("not a PDF: the font lacks a character of the note; send text/plain or XHTML")


@cache
def _shown() -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(_FONT) as font:
        return frozenset(font.getBestCmap())
