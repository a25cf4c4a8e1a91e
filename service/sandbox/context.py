"""The open things that every request of the sandbox is answered with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.sandbox.ports import Blobs, SandboxStore


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest bodies taken, in bytes: a resource as JSON, the content of a Binary sent raw."""

    json: int = 32 * 1024**2
    binary: int = 150 * 1024**2


@dataclass(frozen=True, slots=True)
class Sandbox:
    """`base_url` has no slash at its end."""

    store: SandboxStore
    blobs: Blobs
    base_url: str
    limits: Limits


def _sandbox(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


SandboxIn = Annotated[Sandbox, Depends(_sandbox)]
