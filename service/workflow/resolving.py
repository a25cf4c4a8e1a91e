"""References that are no literal ones: looked up in the EHR, and never guessed. Whose chart it is hangs on them."""

from __future__ import annotations

from service.errors import NeedsPerson, NotYet
from service.fhir.elements import mappings
from service.fhir.references import Logical, Reference, Unreadable, contradicts, meant, token_of
from service.workflow.ports import Ehr
from service.workflow.visit import Fact

_AGAIN = 60.0


async def resolve(ehr: Ehr, fact: Fact, element: str, kind: str, at_most: float) -> Reference | None:
    """The resource of this EHR that `element` names, of `kind` where nobody says its type. None where it names none.

    Where it names several identifiers, each must lead to the same resource: one that nobody has is awaited, for it may be
    another's who is not there yet.
    Raises ForeignBase; NotYet `reference_not_found` for `at_most` seconds; NeedsPerson `reference_ambiguous`,
    `reference_not_literal`.
    """
    named, place = meant(fact.resource, element, ehr.base_url), f"{fact.reference}.{element}"
    if isinstance(named, Unreadable):
        raise NeedsPerson("reference_not_literal", f"{place} is {named.form}: it leads to no resource of the EHR")
    if not isinstance(named, Logical):
        return named
    kind = named.type or kind
    found = [await _having(ehr, kind, token) for token in named.tokens]
    leads_to = set[str]().union(*found)
    if len(leads_to) > 1:
        raise NeedsPerson(
            "reference_ambiguous", f"{place}: several {kind} of the EHR have the identifiers that it names"
        )
    if not all(found):
        detail = f"{place}: no {kind} of the EHR has an identifier that it names"
        raise NotYet("reference_not_found", after=_AGAIN, detail=detail, at_most=at_most)
    return Reference(kind, leads_to.pop())


async def _having(ehr: Ehr, kind: str, token: str) -> set[str]:
    """The ids of those that have the identifier still: an old one is not theirs any more."""
    found = await ehr.find(kind, token)
    return {str(one["id"]) for one in found if token in map(token_of, mappings(one, "identifier"))}


def refuse_contradiction(fact: Fact, element: str, target: Fact) -> None:
    """For a literal reference that gives an identifier too. Raises NeedsPerson `reference_ambiguous` where `target`, which
    it leads to, has another one of the same system: one of both is wrong."""
    if contradicts(fact.resource, element, target.resource):
        raise NeedsPerson(
            "reference_ambiguous", f"{fact.reference}.{element}: its reference and its identifier name different ones"
        )


def is_unresolved(fact: Fact, element: str, base: str) -> bool:
    """Whether only the EHR can say what `element` names. Raises ForeignBase."""
    return isinstance(meant(fact.resource, element, base), Logical | Unreadable)
