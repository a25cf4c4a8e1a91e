"""A note as XHTML: well-formed, with nothing in it but text, headings and paragraphs.

Each heading and text says `dir="auto"`, so that right-to-left notes read right. A line feed is `<br/>`; a carriage return is
written as a reference, since an XML parser would turn it into a line feed (XML 1.0 §2.11).
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from service.fhir.note import Note
from service.fhir.note_text import FIRST_LINE, note_sections, note_title

_XHTML = "http://www.w3.org/1999/xhtml"


def note_page(note: Note) -> bytes:
    """The whole document, in UTF-8."""
    language = quoteattr(note.language)
    head = f'<head><meta charset="UTF-8"/><title>{_written(note_title(note))}</title></head>'
    page = f'<html xmlns="{_XHTML}" xml:lang={language} lang={language}>{head}<body>{_body(note)}</body></html>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n{page}\n'.encode()


def narrative(note: Note) -> str:
    """`DocumentReference.text.div`."""
    language = quoteattr(note.language)
    return f'<div xmlns="{_XHTML}" xml:lang={language} lang={language}>{_body(note)}</div>'


def _body(note: Note) -> str:
    sections = (
        f'<h2 dir="auto">{_written(heading)}</h2><p dir="auto">{_written(text)}</p>'
        for heading, text in note_sections(note)
    )
    return f"<p>{escape(FIRST_LINE)}</p>{''.join(sections)}"


def _written(text: str) -> str:
    return escape(text, {"\r": "&#13;", "\n": "<br/>"})
