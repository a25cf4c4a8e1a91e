"""Each bundled profile as a hospital would use it: with the values that are the hospital's to say."""

from __future__ import annotations

from pathlib import Path

from service.fhir.profile import Profile, load_profile
from service.fhir.profile_files import bundled_profiles

OURS_TO_SAY = {
    "isik": """
name: our-isik
extends: isik
forced:
  context.facilityType: {coding: [{system: "http://ihe-d.de/CodeSystems/PatientBezogenenGesundheitsversorgung", code: KHS}]}
  context.practiceSetting: {coding: [{system: "http://ihe-d.de/CodeSystems/AerztlicheFachrichtungen", code: ALLG}]}
"""
}


def profile_of_a_hospital(name: str, folder: Path) -> Profile:
    """The bundled one, or on top of it a YAML file in `folder` where the bundled one leaves something to be said."""
    return load_profile(path_of_a_profile(name, folder))


def path_of_a_profile(name: str, folder: Path) -> str:
    if name not in OURS_TO_SAY:
        return name
    file = folder / f"{name}.yaml"
    file.write_text(OURS_TO_SAY[name], encoding="utf-8")
    return str(file)


BUNDLED = bundled_profiles()
