"""The settings of the EHR: where it is, how it is called, and what it wants of a note (`AMBIENT_EHR__…`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ByteSize, Field, SecretStr

from service.setting_types import Bytes, Seconds, Section, Words, one_of


class EhrAuth(Section):
    method: Literal["none", "bearer", "basic", "client_secret"] = Field(
        "none", description="how the EHR is told who calls"
    )
    token: SecretStr | None = Field(None, description="for `bearer`")
    username: str | None = Field(None, description="for `basic`")
    password: SecretStr | None = Field(None, description="for `basic`")
    client_id: str | None = Field(None, description="for `client_secret`")
    client_secret: SecretStr | None = Field(None, description="for `client_secret`")
    token_url: str | None = Field(None, description="for `client_secret`")
    scope: str | None = Field(None, description="for `client_secret`")


class Ehr(Section):
    base_url: Annotated[str, one_of("sandbox", "https://", "http://")] = Field(
        "sandbox", description="`sandbox`, or the FHIR R4 base URL of the EHR"
    )
    profile: str = Field("us-core", description="what the EHR's DocumentReference must look like: `us-core`, `r4`")
    auth: EhrAuth = EhrAuth()
    timeout: Seconds = Field(
        30.0, gt=0, description="longest wait for one answer of the EHR; never more than half of the worker's lease"
    )
    audio_hosts: Words = Field(
        [], description="further hosts that audio may be fetched from: `host` for the scheme's own port, or `host:port`"
    )
    audio_max: Bytes = Field(ByteSize(150 * 1024**2), description="largest recording fetched")
    author: Literal["device+practitioner", "device", "practitioner", "none"] = Field(
        "device+practitioner", description="who the note names as author"
    )
    unknown_writes: Literal["hold", "resend"] = Field(
        "hold",
        description="a note whose fate the EHR does not tell, after a lost answer: `hold` it for a person, or `resend` it, "
        "which may file it twice; only where the EHR has no conditional create",
    )
    allow_sandbox: bool | None = Field(None, description="allow `sandbox`; default: on loopback only")
