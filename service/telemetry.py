"""Logs are events with ids, never content; metrics count what happened.

Every log line passes an allow-list of keys, so a key that nobody thought about is dropped instead of leaked. Exceptions
are written as type and frames; their text is written only for our own errors, whose text is safe by construction.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

from service.errors import AmbientFhirError
from service.settings import Log

log = structlog.get_logger()

# fmt: off
LOGGED = frozenset({
    "event", "level", "timestamp", "logger", "error", "frames", "dropped",
    "visit", "state", "reason", "step", "seconds", "attempt", "fence", "owner", "next_in",
    "delivery", "events", "resource_type", "resource_id", "version", "operation", "routing_key", "size", "shape",
    "interaction", "recording", "transcript", "document", "template", "reference", "progress",
    "request", "method", "path", "status", "client", "tenant", "upstream", "code",
    "role", "host", "port", "url", "database", "broker", "engine", "ehr", "destination", "queue", "count", "detail", "revision",
})
# fmt: on

AUDIT = "ambient_fhir.audit"
"""The logger of who read what."""

EVENTS_RECEIVED = Counter("ambient_events_received", "FHIR events received", ["type"])
EVENTS_STORED = Counter("ambient_events_stored", "FHIR events stored")
EVENTS_DUPLICATE = Counter("ambient_events_duplicate", "FHIR events that were stored before")
EVENTS_CONFLICTING = Counter("ambient_events_conflicting", "Known event ids that came again with other bytes")
EVENTS_IGNORED = Counter("ambient_events_ignored", "Deliveries acknowledged without work", ["reason"])
EVENTS_REJECTED = Counter("ambient_events_rejected", "Deliveries that became dead letters", ["reason"])
STEPS = Counter("ambient_workflow_steps", "Workflow steps taken", ["step", "outcome"])
STEP_SECONDS = Histogram(
    "ambient_workflow_step_duration_seconds", "Time a workflow step took", ["step"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)  # fmt: skip
STEPS_ADOPTED = Counter("ambient_step_adopted", "Earlier effects found by looking before repeating", ["step"])
ORPHANS = Counter("ambient_orphans", "Remote resources that no step knew, deleted", ["kind"])
CHARACTERS_REMOVED = Counter(
    "ambient_note_characters_removed", "Characters of notes that FHIR forbids, which were left out"
)
EHR_WRITES = Counter("ambient_ehr_writes", "Writes to the EHR by what became of them", ["state"])
EHR_DROPPED = Counter("ambient_ehr_dropped", "Elements of a note that the EHR did not keep", ["element"])
PROVENANCE_KEPT = Counter(
    "ambient_provenance_kept", "Provenances that the EHR did not take, kept in the service", ["reason"]
)
LEASES_LOST = Counter("ambient_lease_lost", "Visits taken over by another runner while this one worked")
VISITS = Gauge("ambient_workflows", "Visits by state", ["state"])
OLDEST_DUE = Gauge("ambient_workflow_oldest_due_seconds", "Age of the oldest visit that is due and not being worked")
WRONG_CHART = Counter("ambient_subject_mismatch", "Visits stopped because recording and visit name different patients")
CANARY_SECONDS = Gauge("ambient_canary_seconds", "Time the last canary took from its publish to its intake")
CONSUMER_UP = Gauge("ambient_amqp_consumer_up", "1 while the consumer is known to receive")
PUBLISHER_UP = Gauge("ambient_amqp_publisher_up", "1 while the connection that publishes is open")
DESTINATION_PARKED = Gauge("ambient_destination_parked", "1 while a destination is left alone", ["destination"])
HTTP_SECONDS = Histogram(
    "ambient_http_client_request_duration_seconds", "Outgoing requests", ["upstream", "code"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)  # fmt: skip


def only_allowed_keys(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drops every key outside `LOGGED`, and says how many were dropped. An exception as a value loses its text."""
    unknown = [key for key in event if key not in LOGGED and not key.startswith("_")]
    for key in unknown:
        del event[key]
    if unknown:
        event["dropped"] = len(unknown)
    for key, value in event.items():
        if isinstance(value, BaseException):
            event[key] = describe(value)
    return event


def frames(error: BaseException) -> list[str]:
    """Where an exception came from: `file:line function`, innermost last; no locals, no source, no message."""
    return [
        f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]


def describe(error: BaseException) -> str:
    """The error in words that cannot hold PHI."""
    return f"{type(error).__name__}: {error}" if isinstance(error, AmbientFhirError) else type(error).__name__


def exceptions_without_phi(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces `exc_info` by the error's type (and text, if it is ours) and its frames."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"] = describe(error)
        event["frames"] = frames(error)
    return event


def configure_logging(log: Log) -> None:
    """Routes structlog and the standard library's loggers (uvicorn, aio_pika, …) through the same processors to stderr.

    The logger AUDIT writes whatever the level is.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        exceptions_without_phi,
    ]
    console = log.format == "console" or (log.format == "auto" and sys.stderr.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback) if console else _json()
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    logging.getLogger(AUDIT).setLevel(logging.INFO)
    handler = _Terminal(sys.stderr)
    handler.addFilter(_is_ours_or_matters)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            use_get_message=False,
            pass_foreign_args=True,
            foreign_pre_chain=[_named, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, only_allowed_keys, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log.level.upper())
    for quiet in (
        "httpx",
        "httpcore",
        "aio_pika",
        "aiormq",
        "sqlalchemy",
        "aiosqlite",
        "asyncio",
        "faster_whisper",
        "alembic",
    ):
        logging.getLogger(quiet).setLevel(logging.WARNING)


class _Terminal(logging.StreamHandler[Any]):
    def handleError(self, _: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """For a line that cannot be rendered or written; Python would print its words and arguments."""
        error = sys.exc_info()[1]
        with suppress(OSError, ValueError):
            self.stream.write(f"log_line_lost {type(error).__name__}{self.terminator}")


def hear_what_nobody_catches() -> None:
    """Python prints warnings, and what ends a thread or a finaliser, with their text: they go to the log instead, without it."""
    logging.captureWarnings(True)
    sys.unraisablehook = lambda told: _tell_uncaught("finaliser_failed", told.exc_value)
    threading.excepthook = lambda told: _tell_uncaught("thread_failed", told.exc_value)


def _tell_uncaught(event: str, error: BaseException | None) -> None:
    if error is not None and not isinstance(error, SystemExit):
        log.error(event, error=error, frames=frames(error))


def _json() -> Any:
    return structlog.processors.JSONRenderer(sort_keys=True, default=str)


def _is_ours_or_matters(record: logging.LogRecord) -> bool:
    """Of a library only warnings and worse: structlog's own records carry a dict."""
    return isinstance(record.msg, dict) or record.levelno >= logging.WARNING


def _named(_: logging.Logger | None, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A library's line: its logger, level and template, never the arguments, which may hold request data.

    Text without arguments may have been put together beforehand, so where it was written stands for it.
    """
    record: logging.LogRecord = event["_record"]
    has_arguments = bool(event.pop("positional_args", ()))
    event["event"] = record.msg if has_arguments and isinstance(record.msg, str) else "library_message"
    event["logger"] = record.name
    event["detail"] = f"{record.module}:{record.lineno} {record.funcName}"
    return event
