"""What settings are made of: durations, sizes and lists as people write them, and secrets that must not be empty."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, SecretStr
from pydantic_settings import NoDecode

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: object) -> object:
    """`90`, `90s`, `15m`, `24h`, `30d` or `500ms` as seconds."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*", value, re.ASCII)
        if not match:
            raise ValueError("write a duration such as 60s, 15m, 24h or 30d")
        return float(match[1]) * _UNITS[match[2] or "s"]
    return value


def _bytes(value: object) -> object:
    """`1048576`, `1MiB` or `1.5 GB`; in our words, since the type's own quote the value."""
    if isinstance(value, str) and not re.fullmatch(
        r"\s*\d+(?:\.\d+)?\s*(?:[kmgt]i?b?|b)?\s*", value, re.IGNORECASE | re.ASCII
    ):
        raise ValueError("write a size such as 512KiB, 1MiB or 1000000")
    return value


def _words(value: object) -> object:
    """A comma-separated list; an empty string is an empty list."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


def one_of(*beginnings: str) -> AfterValidator:
    """A URL of a kind that is known here; the words never quote it, since it may hold a password."""

    def check(value: str) -> str:
        if not value.strip().lower().startswith(beginnings):
            raise ValueError(f"must begin with {' or '.join(beginnings)}")
        return value

    return AfterValidator(check)


def _present(value: str | SecretStr) -> str | SecretStr:
    """What a variable holds that was meant to be filled in. An empty key would be everybody's."""
    if not (value.get_secret_value() if isinstance(value, SecretStr) else value).strip():
        raise ValueError("must not be empty")
    return value


Name = Annotated[str, AfterValidator(_present)]
Secret = Annotated[SecretStr, AfterValidator(_present)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=10 * 365 * 86400, allow_inf_nan=False)]
Bytes = Annotated[ByteSize, BeforeValidator(_bytes), Field(gt=0)]
Words = Annotated[list[str], NoDecode, BeforeValidator(_words)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)
