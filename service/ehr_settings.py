"""The settings of the EHR: where it is, how it is called, and what it wants of a note (`AMBIENT_EHR__…`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ByteSize, Field, SecretStr

from service.setting_types import Bytes, Seconds, Section, Words, one_of


class EhrAuth(Section):
    method: Literal["none", "bearer", "basic", "client_secret", "smart_backend"] = Field(
        "none", description="how the EHR is told who calls (docs/ehr-authorization.md)"
    )
    token: SecretStr | None = Field(None, description="for `bearer`")
    username: str | None = Field(None, description="for `basic`")
    password: SecretStr | None = Field(None, description="for `basic`")
    client_id: str | None = Field(None, description="for `client_secret` and `smart_backend`")
    client_secret: SecretStr | None = Field(None, description="for `client_secret`")
    client_authentication: Literal["client_secret_post", "client_secret_basic", "tls_client_auth"] = Field(
        "client_secret_post",
        description="for `client_secret`: how the token endpoint is told who asks; `tls_client_auth` needs "
        "`AMBIENT_EHR__TLS__CERTIFICATE_FILE` and no secret",
    )
    key_file: Path | None = Field(
        None,
        description="for `smart_backend`: private keys (PEM, JWK or JWK Set); read again when the file changes, "
        "published at `/.well-known/jwks.json`",
    )
    jwks_url: str | None = Field(
        None,
        description="for `smart_backend`: the URL of our keys that the EHR knows, sent as `jku`; empty: not sent; "
        "unset: that of `AMBIENT_HTTP__PUBLIC_URL` where it is `https://`",
    )
    token_url: str | None = Field(
        None, description="for `client_secret`; for `smart_backend` where the EHR's smart-configuration has none"
    )
    scope: str | None = Field(
        None, description="for `client_secret` and `smart_backend`; default of the latter: what the service uses"
    )


class EhrTls(Section):
    certificate_file: Path | None = Field(
        None, description="client certificate (PEM, with its chain) shown to the EHR and its token endpoint"
    )
    key_file: Path | None = Field(None, description="its private key (PEM); default: in the certificate's file")
    ca_file: Path | None = Field(
        None, description="authorities (PEM) trusted for the EHR and its token endpoint, besides the usual ones"
    )


class Ehr(Section):
    base_url: Annotated[str, one_of("sandbox", "https://", "http://")] = Field(
        "sandbox", description="`sandbox`, or the FHIR R4 base URL of the EHR"
    )
    profile: str = Field(
        "us-core",
        description="what the EHR's DocumentReference must look like: `us-core`, `r4`, `epic`, `oracle-health`, `ihe-mhd`, "
        "`isik`, `uk-core`, or the path of a YAML file (docs/profiles.md)",
    )
    auth: EhrAuth = EhrAuth()
    tls: EhrTls = EhrTls()
    timeout: Seconds = Field(
        30.0, gt=0, description="longest wait for one answer of the EHR; never more than half of the worker's lease"
    )
    audio_hosts: Words = Field(
        [], description="further hosts that audio may be fetched from: `host` for the scheme's own port, or `host:port`"
    )
    audio_private: bool = Field(
        False,
        description="let names on `AMBIENT_EHR__AUDIO_HOSTS` have private addresses (10.0.0.0/8, loopback and the like); the "
        "EHR's own host, and an address that is listed itself, may be private",
    )
    audio_max: Bytes = Field(ByteSize(150 * 1024**2), description="largest recording fetched")
    audio_timeout: Seconds = Field(
        300.0, gt=0, description="longest that one recording is waited for in all while it is fetched"
    )
    author: Literal["device+practitioner", "device", "practitioner", "none"] = Field(
        "device+practitioner", description="who the note names as author"
    )
    organization: str | None = Field(
        None,
        pattern=r"^Organization/[A-Za-z0-9\-.]{1,64}$",
        description="`Organization/<id>` that answers for the notes: `custodian` of each DocumentReference",
    )
    unknown_writes: Literal["hold", "resend"] = Field(
        "hold",
        description="a note whose fate the EHR does not tell, after a lost answer: `hold` it for a person, or `resend` it, "
        "which may file it twice; only where the EHR has no conditional create",
    )
    index_lag: Seconds = Field(60.0, description="how long the EHR's search may not show yet what was just written")
    restricted_labels: Words = Field(
        ["R", "V", "42CFRPart2"],
        description="security labels of Media, Encounter or Patient with which nothing leaves: a code of HL7's label systems, "
        "or system, bar and code (consent.md)",
    )
    consent_check: bool = Field(
        False, description="read the patient's Consents before anything leaves, and again before filing (consent.md)"
    )
    consent_categories: Words = Field(
        [],
        description="only Consents of these categories count, each a code, or system, bar and code; none: those of scope "
        "patient-privacy or treatment (consent.md)",
    )
    allow_sandbox: bool | None = Field(None, description="allow `sandbox`; default: on loopback only")
