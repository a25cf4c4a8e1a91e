"""Languages on the wire."""

from __future__ import annotations

from pydantic import Field

from service.ambient.wire.values import Wire


class Offered(Wire):
    enabled: bool = Field(description="whether the endpoint understands the language", examples=[True])


class Endpoints(Wire):
    streams: Offered = Field(description="real-time streams: not offered here, so never enabled")
    transcribe: Offered = Field(description="real-time dictation: not offered here, so never enabled")
    transcripts: Offered = Field(description="transcripts of recordings")


class Language(Wire):
    endpoints: Endpoints = Field(description="where the language can be used")


class LanguageList(Wire):
    languages: dict[str, Language] = Field(
        description="by BCP 47 tag",
        examples=[
            {
                "en": {
                    "endpoints": {
                        "streams": {"enabled": False},
                        "transcribe": {"enabled": False},
                        "transcripts": {"enabled": True},
                    }
                }
            }
        ],
    )
