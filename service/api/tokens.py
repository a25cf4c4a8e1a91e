"""Access tokens of this service: short-lived JWTs, signed with one key for all pods."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from service.api.caller import BadToken
from service.errors import BadConfiguration

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

LIFETIME = 300
_ISSUER = "ambient-fhir"


class SigningKeys(Protocol):
    """Where the generated key is kept, as a private JWK."""

    async def find(self) -> dict[str, Any] | None: ...

    async def propose(self, jwk: Mapping[str, Any]) -> dict[str, Any]:
        """Keeps `jwk` unless another process was first; answers the one that is kept."""
        ...


@dataclass(frozen=True, slots=True)
class Claims:
    client_id: str
    tenant: str


class Tokens:
    """The key is read or made at the first token. `now` gives seconds since 1970."""

    def __init__(self, keys: SigningKeys, key_file: Path | None = None, now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._key_file = key_file
        self._now = now
        self._key: ECKey | RSAKey | None = None
        self._lock = asyncio.Lock()

    async def issue(self, client_id: str, tenant: str) -> str:
        """A token for LIFETIME seconds. Raises BadConfiguration when the key file cannot be used."""
        from joserfc import jwt

        key, now = await self._signing_key(), int(self._now())
        times = {"iat": now, "exp": now + LIFETIME}
        names = {"iss": _ISSUER, "aud": _ISSUER, "sub": client_id, "tenant": tenant, "jti": str(uuid4())}
        return jwt.encode({"alg": _algorithm(key)}, {**names, **times}, key)

    async def read(self, token: str) -> Claims:
        """Raises BadToken."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        key = await self._signing_key()
        expected = {name: {"essential": True, "value": _ISSUER} for name in ("iss", "aud")}
        rules = jwt.JWTClaimsRegistry(
            now=int(self._now()),
            exp={"essential": True},
            **expected,  # type: ignore[arg-type]
        )
        try:
            claims = jwt.decode(token, key, algorithms=[_algorithm(key)]).claims
            rules.validate(claims)
            return Claims(str(claims["sub"]), str(claims["tenant"]))
        except (JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadToken(type(error).__name__) from None

    async def _signing_key(self) -> ECKey | RSAKey:
        async with self._lock:
            if self._key is None:
                self._key = await self._read_key_file() if self._key_file else await self._kept_key()
        return self._key

    async def _kept_key(self) -> ECKey | RSAKey:
        from joserfc.jwk import ECKey

        kept = await self._keys.find()
        if kept is None:
            kept = await self._keys.propose(ECKey.generate_key("P-256").as_dict(private=True))
        return _imported(kept)

    async def _read_key_file(self) -> ECKey | RSAKey:
        """A PEM, or a JWK."""
        from joserfc.errors import JoseError

        path = self._key_file or Path()
        name = f"AMBIENT_API__SIGNING_KEY_FILE={path}"
        try:
            content = await asyncio.to_thread(path.read_text, encoding="utf-8")
            return _imported(json.loads(content) if content.lstrip().startswith("{") else content)
        except (OSError, ValueError, JoseError) as error:
            raise BadConfiguration(f"{name} cannot be used: {type(error).__name__}") from None


def _imported(content: dict[str, Any] | str) -> ECKey | RSAKey:
    """Raises ValueError or JoseError for anything but a private EC P-256 or RSA key."""
    from joserfc.jwk import ECKey

    key = _from_jwk(content) if isinstance(content, dict) else _from_pem(content)
    if not key.is_private or (isinstance(key, ECKey) and key.curve_name != "P-256"):
        raise ValueError("a private EC P-256 or RSA key is needed")
    return key


def _from_jwk(content: dict[str, Any]) -> ECKey | RSAKey:
    from joserfc.jwk import ECKey, RSAKey

    if content.get("kty") not in ("EC", "RSA"):
        raise ValueError("neither an EC nor an RSA key")
    return ECKey.import_key(content) if content["kty"] == "EC" else RSAKey.import_key(content)


def _from_pem(content: str) -> ECKey | RSAKey:
    from joserfc.errors import InvalidKeyTypeError
    from joserfc.jwk import ECKey, RSAKey

    try:
        return ECKey.import_key(content)
    except InvalidKeyTypeError:
        return RSAKey.import_key(content)


def _algorithm(key: ECKey | RSAKey) -> str:
    return "ES256" if key.key_type == "EC" else "RS256"
