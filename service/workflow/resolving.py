"""References that are no literal ones: looked up in the EHR, and never guessed. Whose chart it is hangs on them."""

from __future__ import annotations

from service.errors import NeedsPerson, NotYet
from service.fhir.references import Logical, Reference, Unreadable, meant
from service.workflow.ports import Ehr
from service.workflow.visit import Fact

UNRESOLVED = ("reference_ambiguous", "reference_not_literal")
_AGAIN = 60.0


async def resolve(ehr: Ehr, fact: Fact, element: str, kind: str, at_most: float) -> Reference | None:
    """The resource of this EHR that `element` names, of `kind` where nobody says its type. None where it names none.

    Raises ForeignBase; NotYet `reference_not_found` for `at_most` seconds; NeedsPerson `reference_ambiguous`,
    `reference_not_literal`.
    """
    named, place = meant(fact.resource, element, ehr.base_url), f"{fact.reference}.{element}"
    if isinstance(named, Unreadable):
        raise NeedsPerson("reference_not_literal", f"{place} is {named.form}: it leads to no resource of the EHR")
    if not isinstance(named, Logical):
        return named
    kind = named.type or kind
    found = {str(resource["id"]) for resource in await ehr.find(kind, named.token)}
    if not found:
        detail = f"{place}: no {kind} of the EHR has the identifier that it names"
        raise NotYet("reference_not_found", after=_AGAIN, detail=detail, at_most=at_most)
    if len(found) > 1:
        raise NeedsPerson(
            "reference_ambiguous", f"{place}: several {kind} of the EHR have the identifier that it names"
        )
    return Reference(kind, found.pop())


def is_unresolved(fact: Fact, element: str, base: str) -> bool:
    """Whether only the EHR can say what `element` names. Raises ForeignBase."""
    return isinstance(meant(fact.resource, element, base), Logical | Unreadable)
