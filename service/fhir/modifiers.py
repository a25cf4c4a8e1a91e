"""What may turn a resource's meaning round, and that this service does not know.

FHIR R4 §2.4.0.1 (modifier extensions) and §2.1.0.1 (implicitRules): whoever does not understand one must not process the
resource as if it were not there. None is known here.
"""

from __future__ import annotations

from service.fhir.elements import Json, element

_PARTS = ("participant",)
"""Elements that are read of each resource and may carry a modifier extension of their own."""


def not_understood(resource: Json | None) -> str | None:
    """The path of the first such element; None where there is nothing of the kind."""
    if element(resource, "implicitRules"):
        return "implicitRules"
    if element(resource, "modifierExtension"):
        return "modifierExtension"
    for part in _PARTS:
        listed = element(resource, part)
        for number, one in enumerate(listed if isinstance(listed, list) else ()):
            if element(one, "modifierExtension"):
                return f"{part}[{number}].modifierExtension"
    return None
