"""A note made of what was said: sentences are chosen, turned and sorted by rules; none is invented."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adapters.engine.notes.statements import Statement, statements_of
from adapters.engine.notes.utterances import utterances_of
from service.ambient.ports import SectionDraft, Segment, Sentence

SECTIONS = {
    "corti-subjective": "subjective",
    "corti-objective": "objective",
    "corti-assessment": "assessment",
    "corti-plan": "plan",
}
PATIENT_SUMMARY = "corti-patient-summary"
SUMMARY_PARTS = (
    ("What you told us", ("subjective",)),
    ("What was found", ("objective", "assessment")),
    ("What happens next", ("plan",)),
)


class ExtractiveWriter:
    """A NoteWriter. Rules only: the same transcript gives the same note, in milliseconds."""

    def sections(self) -> frozenset[str]:
        return frozenset({*SECTIONS, PATIENT_SUMMARY})

    def write(self, section_keys: Sequence[str], segments: Sequence[Segment]) -> list[SectionDraft]:
        unknown = [key for key in section_keys if key not in self.sections()]
        if unknown:
            raise KeyError(unknown[0])
        said = list(statements_of(utterances_of(segments)))
        return [SectionDraft(key, tuple(_sentences(key, said))) for key in section_keys]


def _sentences(key: str, said: Sequence[Statement]) -> list[Sentence]:
    if key == PATIENT_SUMMARY:
        return _summary(said)
    wanted = (statement for statement in said if statement.section == SECTIONS[key])
    return _once(Sentence(statement.clinical, statement.evidence) for statement in wanted)


def _summary(said: Sequence[Statement]) -> list[Sentence]:
    """Three parts; the first sentence of each names the part."""
    sentences: list[Sentence] = []
    for name, sections in SUMMARY_PARTS:
        part = _once(
            Sentence(statement.plain, statement.evidence)
            for section in sections
            for statement in said
            if statement.section == section and statement.plain
        )
        sentences += [Sentence(f"{name}: {part[0].text}", part[0].evidence), *part[1:]] if part else []
    return sentences


def _once(sentences: Iterable[Sentence]) -> list[Sentence]:
    """A sentence said twice is written once, resting on both."""
    kept: dict[str, tuple[str, ...]] = {}
    for sentence in sentences:
        kept[sentence.text] = tuple(dict.fromkeys((*kept.get(sentence.text, ()), *sentence.evidence)))
    return [Sentence(text, evidence) for text, evidence in kept.items()]
