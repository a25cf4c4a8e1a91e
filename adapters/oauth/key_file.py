"""The private keys of this client, in a file that may change while the process runs: a mounted Secret that is rotated.

The file is a PEM with one or several private keys, a JWK, or a JWK Set. **All its keys are published; the first that may
sign does.** A key of a JWK Set with `nbf` (seconds since 1970) may sign from then on, so a new one can be put first and be
published for a day before it is used. A public key is published and never signs.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from service.errors import BadConfiguration

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

PUBLIC = ("kty", "n", "e", "crv", "x", "y")
"""What may leave: whatever else a key holds, in members that are known or not, stays here."""

ALGORITHMS = ("RS384", "ES384")
_SMALLEST_RSA = 2048  # RFC 7518 §3.3
_PEM = re.compile(r"-----BEGIN (?P<what>[A-Z ]*(?:PRIVATE|PUBLIC) KEY)-----.+?-----END (?P=what)-----", re.DOTALL)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ClientKey:
    """`not_before` in seconds since 1970."""

    key: ECKey | RSAKey
    kid: str
    algorithm: str
    not_before: float = 0.0

    def published(self) -> dict[str, str]:
        known = self.key.as_dict(private=False)
        members = {name: str(known[name]) for name in PUBLIC if name in known}
        return {**members, "kid": self.kid, "alg": self.algorithm, "use": "sig"}


class KeyFile:
    """Read at once, and again when the file has changed. One that cannot be used then is logged, and the keys of before
    stay. `now` gives seconds since 1970. Raises BadConfiguration, which never quotes the file."""

    def __init__(self, path: Path, variable: str, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._name = f"{variable}={path}"
        self._now = now
        self._seen = self._state()
        self._keys = self._read()

    def public(self) -> list[dict[str, str]]:
        """The JWKs to publish."""
        self._look()
        return [key.published() for key in self._keys]

    def signing(self, accepted: Collection[str] = ALGORITHMS) -> ClientKey:
        """The key to sign with now, of an algorithm that the other side accepts. Raises BadConfiguration."""
        self._look()
        able = [key for key in self._keys if key.key.is_private and key.not_before <= self._now()]
        if not able:
            raise BadConfiguration(f"{self._name} has no private key that may sign yet")
        fitting = next((key for key in able if key.algorithm in accepted), None)
        if fitting is None:
            raise BadConfiguration(f"{self._name} has no key for {' or '.join(sorted(accepted))}, which is asked for")
        return fitting

    def _look(self) -> None:
        seen = self._state()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._keys = self._read()
        except BadConfiguration as error:
            log.error("client_keys_unusable", error=error)
        else:
            log.info("client_keys_read", count=len(self._keys))

    def _state(self) -> tuple[int, int, int]:
        """A Secret is swapped by a symbolic link: the inode tells. Zeros for a file that is not there."""
        try:
            found = self._path.stat()
        except OSError:
            return 0, 0, 0
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> tuple[ClientKey, ...]:
        from joserfc.errors import JoseError

        try:
            content = self._path.read_text(encoding="utf-8")
            keys = tuple(map(_client_key, _jwks(content) if content.lstrip().startswith("{") else _pems(content)))
        except (OSError, ValueError, TypeError, KeyError, RecursionError, JoseError) as error:
            why = str(error) if isinstance(error, _Unfit) else type(error).__name__
            raise BadConfiguration(f"{self._name} cannot be used: {why}") from None
        if not any(key.key.is_private for key in keys) or len({key.kid for key in keys}) < len(keys):
            raise BadConfiguration(f"{self._name} must hold a private key, and each key once under its own kid")
        return keys


class _Unfit(ValueError):
    """The text names what is needed, and quotes nothing."""


def _jwks(content: str) -> list[dict[str, Any]]:
    document = json.loads(content)
    keys = document.get("keys", [document])
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise _Unfit("a JWK Set has a list `keys`")
    return keys


def _pems(content: str) -> list[str]:
    return [match[0] for match in _PEM.finditer(content)]


def _client_key(content: dict[str, Any] | str) -> ClientKey:
    key = _imported(content)
    given = content if isinstance(content, dict) else {}
    algorithm = "RS384" if key.key_type == "RSA" else "ES384"
    if given.get("alg", algorithm) != algorithm or given.get("use", "sig") != "sig":
        raise _Unfit(f"a key for signatures with {' or '.join(ALGORITHMS)} is needed")
    return ClientKey(key, str(given.get("kid") or key.thumbprint()), algorithm, float(given.get("nbf") or 0))


def _imported(content: dict[str, Any] | str) -> ECKey | RSAKey:
    """Without members that say what the key is for: what this service does with it is known."""
    from joserfc.errors import InvalidKeyTypeError
    from joserfc.jwk import ECKey, RSAKey

    key: ECKey | RSAKey
    if isinstance(content, dict):
        if content.get("kty") not in ("EC", "RSA"):
            raise _Unfit("neither an EC nor an RSA key")
        members = {name: value for name, value in content.items() if name not in _PURPOSE}
        key = ECKey.import_key(members) if content["kty"] == "EC" else RSAKey.import_key(members)
    else:
        try:
            key = ECKey.import_key(content)
        except InvalidKeyTypeError:
            key = RSAKey.import_key(content)
    if isinstance(key, ECKey) and key.curve_name != "P-384":
        raise _Unfit("an EC key must be on the curve P-384, for ES384")
    if isinstance(key, RSAKey) and key.raw_value.key_size < _SMALLEST_RSA:
        raise _Unfit(f"an RSA key must have {_SMALLEST_RSA} bits")
    return key


_PURPOSE = ("use", "key_ops", "alg", "nbf", "kid", "x5c")
