"""What all bodies share: camelCase names, unknown keys ignored, and the kinds of values that the wire knows."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

_DATE = re.compile(r"\d{4}-\d\d-\d\d([Tt ].*)?", re.DOTALL)
LANGUAGE_TAG = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
"""As much of BCP 47 as languages and regions need."""

LONGEST_IDENTIFIER = 255
"""Characters. An identifier is searched for, and no index of PostgreSQL takes more than 2,700 bytes."""

_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def without_nul(text: str) -> str:
    """PostgreSQL keeps no NUL in text."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


def written_date(value: object) -> object:
    """A number would be read as seconds since 1970, and so would a bare year."""
    if value is not None and not (isinstance(value, str) and _DATE.fullmatch(value)):
        raise ValueError("must be an ISO 8601 date or date and time")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


def _whole(value: object) -> object:
    """JSON has one kind of number: 3.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[str, AfterValidator(without_nul), Field(json_schema_extra={"pattern": r"^[^\x00]*$"})]
Title = Annotated[Text, Field(max_length=255)]
Identifier = Annotated[Text, Field(max_length=LONGEST_IDENTIFIER)]
Uuid = Annotated[str, StringConstraints(pattern=_UUID, to_lower=True), Field(json_schema_extra={"format": "uuid"})]
Moment = Annotated[datetime, Field(strict=False), AfterValidator(_in_utc), BeforeValidator(written_date)]
WHOLE = BeforeValidator(_whole)
"""For integers; after their bounds, which are left out of the schema otherwise."""

Small = Annotated[int, Field(ge=-1, le=10**9), WHOLE]
Role = Literal["doctor", "patient", "multiple"]
EncounterStatus = Literal["planned", "in-progress", "on-hold", "completed", "cancelled", "deleted"]


class Wire(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", hide_input_in_errors=True
    )


class Asked(Wire):
    """A request: JSON types are taken at their word, `"1"` is no number."""

    model_config = ConfigDict(strict=True)


class UsageInfo(Wire):
    credits_consumed: float = Field(0.0, ge=0, description="always 0: nothing is charged here", examples=[0.0])
