"""The client certificate that the EHR is shown (mutual TLS), and the authorities that its own is checked against."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import structlog

from service.ehr_settings import EhrTls
from service.errors import BadConfiguration

log = structlog.get_logger()


class Certificate:
    """`context` is for the EHR's connections alone. A certificate that is replaced in its file is shown on the next
    connections; one that cannot be used then is logged, and the one before stays. Raises BadConfiguration at first."""

    def __init__(self, settings: EhrTls) -> None:
        self._settings = settings
        if settings.key_file and not settings.certificate_file:
            raise BadConfiguration("AMBIENT_EHR__TLS__KEY_FILE does nothing without AMBIENT_EHR__TLS__CERTIFICATE_FILE")
        self.context = httpx.create_ssl_context()
        if settings.ca_file:
            try:
                self.context.load_verify_locations(settings.ca_file)
            except OSError as error:
                raise _unusable("CA_FILE", settings.ca_file, error) from None
        self._seen = self._state()
        self._load()

    async def look(self, _: httpx.Request) -> None:
        """Before each request; what changed costs nothing until then."""
        seen = self._state()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._load()
        except BadConfiguration as error:
            log.error("client_certificate_unusable", error=error)
        else:
            log.info("client_certificate_read")

    def _load(self) -> None:
        """An encrypted key is refused: OpenSSL would ask for its password on the terminal."""
        file = self._settings.certificate_file
        if file is None:
            return
        for trial in (
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            self.context,
        ):  # a failure must not leave half of the two
            try:
                trial.load_cert_chain(file, self._settings.key_file, password=lambda: b"")
            except (OSError, ValueError) as error:
                raise _unusable("CERTIFICATE_FILE", file, error) from None

    def _state(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_seen(file) for file in (self._settings.certificate_file, self._settings.key_file) if file)


def _seen(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _unusable(name: str, file: Path, error: Exception) -> BadConfiguration:
    return BadConfiguration(f"AMBIENT_EHR__TLS__{name}={file} cannot be used: {type(error).__name__}")
