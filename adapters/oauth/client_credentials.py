"""OAuth 2 client credentials (RFC 6749 §4.4) with a client secret, or a client certificate (RFC 8705 §2.1) in its place."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from time import monotonic
from typing import Literal
from urllib.parse import quote_plus

import httpx

from adapters.oauth.access_token import AccessToken, Taken
from adapters.oauth.refusals import Refusals

Proof = Literal["client_secret_post", "client_secret_basic", "tls_client_auth"]

_WORDS = {
    "invalid_client": "the client's id or secret is wrong, or it must be shown another way",
    "unauthorized_client": "this client may not ask for tokens of its own: allow it client credentials",
    "invalid_scope": "the client may not have the scope that is asked for",
    "unsupported_grant_type": "this token endpoint does not offer client credentials",
}


class ClientCredentials(AccessToken):
    """`proof` as the registry of RFC 7591 names it; with `tls_client_auth` the HTTP client's certificate is the proof."""

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        scope: str | None,
        whose: str,
        proof: Proof = "client_secret_post",
        now: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(Refusals(whose, _WORDS, now=now), whose, now)
        self._token_url = token_url
        self._form = {"grant_type": "client_credentials"}
        self._headers = {"Accept": "application/json"}
        if proof == "client_secret_basic":
            basic = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"  # RFC 6749 §2.3.1
            self._headers["Authorization"] = f"Basic {b64encode(basic.encode()).decode()}"
        else:
            self._form["client_id"] = client_id
        if proof == "client_secret_post":
            self._form["client_secret"] = client_secret
        if scope:
            self._form["scope"] = scope

    def _question(self) -> tuple[httpx.Request, Taken]:
        return httpx.Request("POST", self._token_url, data=self._form, headers=self._headers), self._keep
