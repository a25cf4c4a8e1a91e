"""A client's secret, stored as it is or as an scrypt hash (RFC 7914) in PHC string form."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

_FORM = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})", re.ASCII
)
_MEMORY = 64 * 1024**2
_LOG_COST = range(10, 17)
_LANES = range(1, 5)


@dataclass(frozen=True, slots=True)
class ScryptHash:
    """Costs: 2**`log_cost` rounds over blocks of 128 * `block` bytes, `lanes` times."""

    log_cost: int
    block: int
    lanes: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def read(cls, text: str) -> ScryptHash:
        """Raises ValueError, without the text, for another form and for costs that a typo must have made."""
        match = _FORM.fullmatch(text)
        if not match:
            raise ValueError("must be $scrypt$ln=14,r=8,p=1$SALT$HASH, as `ambient-fhir hash-secret` prints it")
        log_cost, block, lanes = (int(match[n]) for n in (1, 2, 3))
        if log_cost not in _LOG_COST or lanes not in _LANES or not 0 < 128 * block << log_cost <= _MEMORY:
            raise ValueError("ln must be 10 to 16, p 1 to 4, and 128 * r * 2^ln at most 64 MiB")
        return cls(log_cost, block, lanes, _decoded(match[4]), _decoded(match[5]))

    @classmethod
    def of(cls, secret: str) -> ScryptHash:
        """With a new salt; takes 16 MiB and tens of milliseconds of CPU."""
        empty = cls(14, 8, 1, secrets.token_bytes(16), b"\0" * 32)
        return cls(14, 8, 1, empty.salt, empty.derived(secret))

    def derived(self, secret: str) -> bytes:
        """Blocks for as long as the costs say."""
        return hashlib.scrypt(
            secret.encode(),
            salt=self.salt,
            n=1 << self.log_cost,
            r=self.block,
            p=self.lanes,
            maxmem=2 * _MEMORY,
            dklen=len(self.digest),
        )

    def matches(self, secret: str) -> bool:
        """Blocks for as long as the costs say."""
        return hmac.compare_digest(self.derived(secret), self.digest)

    def __str__(self) -> str:
        costs = f"ln={self.log_cost},r={self.block},p={self.lanes}"
        return f"$scrypt${costs}${_encoded(self.salt)}${_encoded(self.digest)}"


def is_hashed(stored: str) -> bool:
    return stored.startswith("$scrypt$")


def same(stored: str, secret: str) -> bool:
    """Of plain secrets, in a time that tells neither where they differ nor how long the stored one is."""
    return hmac.compare_digest(hashlib.sha256(stored.encode()).digest(), hashlib.sha256(secret.encode()).digest())


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """PHC strings leave the padding out."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise ValueError("the salt or the hash is not base64") from None
