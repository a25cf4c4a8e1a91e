"""A note made of what was said: sentences are chosen, turned and sorted by rules; none is invented."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adapters.engine.notes.given_facts import in_own_words
from adapters.engine.notes.groups import ASSESSMENT, OBJECTIVE, PLAN, SUBJECTIVE
from adapters.engine.notes.statements import Statement, statements_of
from adapters.engine.notes.utterances import utterances_of
from service.ambient.ports import GivenFact, SectionBrief, SectionDraft, Segment, Sentence

BY_ANYONE = "What was said"
PLAIN_PARTS = (
    ("What you told us", (SUBJECTIVE,)),
    (BY_ANYONE, (SUBJECTIVE,)),
    ("What was found", (OBJECTIVE, ASSESSMENT)),
    ("What happens next", (PLAN,)),
)


class ExtractiveWriter:
    """A NoteWriter. Rules only: the same transcript gives the same note, in milliseconds."""

    def write(
        self, briefs: Sequence[SectionBrief], segments: Sequence[Segment], facts: Sequence[GivenFact] = ()
    ) -> list[SectionDraft]:
        """In each section, or part of a plain one, the facts come before what was said."""
        said = [*in_own_words(facts), *statements_of(utterances_of(segments))]
        return [SectionDraft(brief.key, tuple(_sentences(brief, said))) for brief in briefs]


def _sentences(brief: SectionBrief, said: Sequence[Statement]) -> list[Sentence]:
    wanted = [statement for statement in said if statement.group in brief.groups]
    if brief.wording == "plain":
        return _addressed_to_the_patient(wanted)
    return _once(Sentence(statement.clinical, statement.evidence) for statement in wanted)


def _addressed_to_the_patient(wanted: Sequence[Statement]) -> list[Sentence]:
    """In parts, what nobody knows the speaker of in one of its own; the first sentence of each names the part."""
    sentences: list[Sentence] = []
    for name, matters in PLAIN_PARTS:
        part = _once(
            Sentence(statement.plain, statement.evidence)
            for groups in matters
            for statement in wanted
            if statement.group in groups and statement.by_anyone == (name == BY_ANYONE)
        )
        sentences += [Sentence(f"{name}: {part[0].text}", part[0].evidence), *part[1:]] if part else []
    return sentences


def _once(sentences: Iterable[Sentence]) -> list[Sentence]:
    """A sentence said twice is written once, resting on both."""
    kept: dict[str, list[str]] = {}
    for sentence in sentences:
        kept.setdefault(sentence.text, []).extend(sentence.evidence)
    return [Sentence(text, tuple(dict.fromkeys(evidence))) for text, evidence in kept.items()]
