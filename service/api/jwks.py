"""The public keys of this service as a SMART backend client: what the EHR checks its assertions with (RFC 7517 §5)."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

PATH = "/.well-known/jwks.json"
MAX_AGE = 3600
"""Seconds that an EHR may keep the keys: for so long a new one must be published before it signs."""

_EXAMPLE = "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbg"


class PublicKey(BaseModel):
    """RFC 7518 §6: `n` and `e` of an RSA key, `crv`, `x` and `y` of an EC key."""

    kty: Literal["RSA", "EC"] = Field(description="the kind of key")
    kid: str = Field(description="what an assertion names it by", examples=["2026-01"])
    alg: Literal["RS384", "ES384"] = Field(description="the algorithm of its assertions")
    use: Literal["sig"] = Field(description="always `sig`")
    n: str = Field("", description="modulus", examples=[_EXAMPLE])
    e: str = Field("", description="exponent", examples=["AQAB"])
    crv: str = Field("", description="curve: `P-384`")
    x: str = Field("", description="first coordinate")
    y: str = Field("", description="second coordinate")


class JwkSet(BaseModel):
    """RFC 7517 §5."""

    keys: list[PublicKey] = Field(description="those that sign now, and those to come")


_ANSWERS: dict[int | str, dict[str, Any]] = {200: {"model": JwkSet, "description": "A JWK Set"}}


class PublicKeys(Protocol):
    def public(self) -> list[dict[str, str]]:
        """JWKs without private members."""
        ...


def jwks_router(keys: PublicKeys | None) -> APIRouter:
    """Open to all, as an EHR fetches it. Where no key is configured the set is empty, and may not be kept."""
    router = APIRouter(tags=["authentication"])

    @router.get(PATH, summary="Get the public keys of the EHR's client", responses=_ANSWERS)
    async def client_keys() -> JSONResponse:
        """For SMART Backend Services: the keys of `AMBIENT_EHR__AUTH__KEY_FILE`, those to come among them."""
        caching = f"public, max-age={MAX_AGE}" if keys else "no-store"
        return JSONResponse({"keys": keys.public() if keys else []}, headers={"Cache-Control": caching})

    return router
