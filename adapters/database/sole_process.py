"""Whether this is the only process that serves from a SQLite database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def sole_process(database: Path) -> Iterator[bool]:
    """Whether nobody else held the lock on a file beside the database; it is then held until leaving.

    The kernel takes it back when a process ends, however that comes. Where there are no such locks: false.
    """
    try:
        import fcntl
    except ImportError:
        yield False
        return
    with database.with_name(f"{database.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
