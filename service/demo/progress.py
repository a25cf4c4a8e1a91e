"""What the demonstration shows while it runs: one line per stage, with its seconds once it is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

STAGES = (("received", None), ("interaction", "interaction"), ("uploading", "recording"), ("transcribing", "transcribed"), ("drafting", "document"), ("filed", "filed"))  # fmt: skip
Row = Mapping[str, Any]


def stages(visit: Row | None) -> list[tuple[str, str, float | None]]:
    """(stage, state, seconds) for each stage; a stage of several steps has the sum of their seconds."""
    steps = list(visit["steps"]) if visit else []
    rows: list[tuple[str, str, float | None]] = []
    for stage, step in STAGES:
        if step is None:
            rows.append((stage, "done" if visit else "", None))
            continue
        own = [s for s in steps if s["name"].split(":")[0] == step]
        done = bool(own) and all(s["finishedAt"] for s in own)
        state = "done" if done else _under_way(visit, stage) if own else ""
        rows.append((stage, state, sum(s["seconds"] for s in own) if done else None))
    return rows


def _under_way(visit: Row | None, stage: str) -> str:
    detail = visit["detail"] if visit and visit["reason"] == stage else None
    return str(detail or "…")


class Progress:
    """Redraws a table on a terminal; elsewhere prints a line when something changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
        self._said: dict[str, str] = {}

    def __enter__(self) -> Progress:
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.__exit__(None, None, None)

    def show(self, visit: Row | None) -> None:
        if self._live:
            self._live.update(_table(stages(visit)))
            return
        for stage, state, seconds in stages(visit):
            if state and self._said.get(stage) != state:
                self._said[stage] = state
                took = f"  {seconds:.1f} s" if seconds is not None else ""
                self._console.print(f"{stage:<13} {state}{took}", highlight=False)


def _table(rows: list[tuple[str, str, float | None]]) -> Table:
    table = Table(box=None, show_header=False)
    for stage, state, seconds in rows:
        mark = "[green]✓[/]" if state == "done" else "[yellow]▸[/]" if state else " "
        table.add_row(mark, stage, "" if state == "done" else state, "" if seconds is None else f"{seconds:.1f} s")
    return table
