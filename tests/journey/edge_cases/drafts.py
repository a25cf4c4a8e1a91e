"""An engine whose drafts say what the test wrote, and a house that sends them to its sandbox EHR."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.ehrs.house import AtOnce
from tests.ehrs.serving import serving
from tests.faults.asgi import Receive, Scope, Send
from tests.journey.hospital import Hospital, Json, open_hospital
from tests.profiles import path_of_a_profile

Change = Callable[[Json], Any]
SANDBOX = "writing: {conditional_create: true, identifier_search: true}"


class Drafting(AtOnce):
    """`change` is made to each draft, once, before anybody reads it; there may be another change for the next draft."""

    def __init__(self, *changes: Change) -> None:
        super().__init__()
        self._changes = list(changes)
        self._changed: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for interaction in self._interactions.values():
            for document in interaction.documents.values():
                if document["id"] not in self._changed:
                    self._changed.add(document["id"])
                    (self._changes.pop(0) if len(self._changes) > 1 else self._changes[0])(document)
        await super().__call__(scope, receive, send)


def saying(*sections: tuple[str, str]) -> Change:
    """A draft of these sections (name, text)."""

    def change(document: Json) -> None:
        (pattern,) = document["sections"]
        document["sections"] = [
            {**pattern, "key": f"section-{n}", "name": name, "text": text, "sort": n}
            for n, (name, text) in enumerate(sections)
        ]

    return change


def called(template: str) -> Change:
    """A draft that says it is of this template."""
    return lambda document: document.update(templateRef=template)


def as_it_is(document: Json) -> None:
    """What the engine drafted."""


def written(folder: Path, *lines: str, extends: str = "us-core") -> str:
    """The path of a profile of the hospital's own, which knows that the sandbox creates conditionally."""
    below = path_of_a_profile(extends, folder)
    file = folder / "mine.yaml"
    file.write_text("\n".join(["name: mine", f"extends: {below}", SANDBOX, *lines]), encoding="utf-8")
    return str(file)


@asynccontextmanager
async def open_house_with_drafts(
    folder: Path, *changes: Change, profile: str = "us-core", **ehr: Any
) -> AsyncIterator[Hospital]:
    """`profile` is a bundled one's name, or a path."""
    async with serving(Drafting(*changes or (as_it_is,))) as engine:
        parts = {"ehr": {"profile": profile, **ehr}, "engine": {"url": f"{engine}/v2"}}
        async with open_hospital(folder, **parts) as hospital:
            yield hospital
