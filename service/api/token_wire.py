"""The token endpoint's bodies, as its description shows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.api.tokens import LIFETIME

FORM = "application/x-www-form-urlencoded"


class TokenResponse(BaseModel):
    """RFC 6749 §5.1, and the fields that the official client knows."""

    access_token: str = Field(description="a JWT", examples=["eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl"])
    expires_in: int = Field(description="seconds that the token is valid", examples=[LIFETIME])
    refresh_expires_in: int = Field(description="0: there are no refresh tokens", examples=[0])
    token_type: Literal["Bearer"] = Field(description="always `Bearer`")
    not_before_policy: int = Field(alias="not-before-policy", description="always 0", examples=[0])
    scope: str = Field(description="`openid` and the client's scopes", examples=["openid ambient"])


class TokenError(BaseModel):
    """RFC 6749 §5.2."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"error": "unauthorized_client", "error_description": "wrong client secret"}]}
    )

    error: Literal[
        "invalid_request", "unsupported_grant_type", "invalid_client", "unauthorized_client", "slow_down"
    ] = Field(description="what is wrong, in one word")
    error_description: str = Field(description="the same for a person")


class _TokenRequest(BaseModel):
    """What the endpoint reads by itself, so that it is limited in size and answers in its own words."""

    grant_type: Literal["client_credentials"] = Field(description="the only one offered")
    client_id: str = Field(min_length=1, description="here, or with the secret by HTTP Basic", examples=["recorder"])
    client_secret: str = Field(min_length=1, description="here, or by HTTP Basic", examples=["a long random secret"])
    scope: str = Field("", description="not looked at: a client has its configured scopes", examples=["openid"])


_REQUEST = {"grant_type": "client_credentials", "client_id": "recorder", "client_secret": "a long random secret"}
TOKEN_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {FORM: {"schema": _TokenRequest.model_json_schema(), "example": _REQUEST}},
    }
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": TokenResponse, "description": "A token"},
    400: {"model": TokenError, "description": "The request is malformed, or of another grant"},
    401: {"model": TokenError, "description": "Unknown client, client of another tenant, or wrong secret"},
    429: {
        "model": TokenError,
        "description": "Too many requests of this address, or too many wrong secrets",
        "headers": {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}},
    },
}
