"""What ``airflow dq run`` shows while it runs: a live table in a terminal, a line for each step elsewhere."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow_dataquality.cli.running import counted

if TYPE_CHECKING:
    from airflow_dataquality.transforms.runner import Step

_COLOURS = {"done": "green", "failed": "red", "skipped": "dim", "running": "cyan", "waiting": "dim"}
_ENDS = ("done", "failed", "skipped")


class Counted:
    """Steps, and how many of them have ended."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def tell(self, step: Step) -> None:
        """Show what became of a step."""
        raise NotImplementedError

    @property
    def ended(self) -> int:
        return sum(step.status in _ENDS for step in self.steps)


class Silent(Counted):
    """Shows nothing: what is printed is for programs."""

    def __init__(self, steps: Sequence[Step], *, quiet: bool) -> None:
        super().__init__(steps)
        self.quiet = quiet

    def __enter__(self) -> Self:
        if self.quiet:
            self._stack.enter_context(without_logs())
        return self

    def tell(self, step: Step) -> None:
        """Nothing."""


class Lines(Counted):
    """A line for each step that ended."""

    def __init__(self, steps: Sequence[Step], title: str, *, quiet: bool) -> None:
        super().__init__(steps)
        self._width = max((len(step.transform.name) for step in steps), default=0)
        self.quiet = quiet
        print(f"{counted(len(steps), 'transform')} for {title}\n")

    def __enter__(self) -> Self:
        if self.quiet:
            self._stack.enter_context(without_logs())
        return self

    def tell(self, step: Step) -> None:
        if step.status not in _ENDS:
            return
        total = len(self.steps)
        place = f"{self.ended:>{len(str(total))}}/{total}"
        print(f"{place}  {step.status:<7}  {step.transform.name:<{self._width}}  {told(step)}".rstrip(), flush=True)


class Live(Counted):
    """A table that is drawn again and again."""

    def __init__(self, steps: Sequence[Step], title: str, *, quiet: bool) -> None:
        from rich.live import Live as Drawn

        super().__init__(steps)
        self.title = f"{counted(len(steps), 'transform')} for {title}"
        self.quiet = quiet
        self._drawn = Drawn(self._table(), refresh_per_second=8, vertical_overflow="ellipsis")

    def __enter__(self) -> Self:
        if self.quiet:
            self._stack.enter_context(without_logs())
        self._stack.enter_context(self._drawn)
        return self

    def tell(self, step: Step) -> None:
        self._drawn.update(self._table())

    def _table(self) -> Any:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("transform", "status", ""):
            table.add_column(heading, overflow="fold")
        for step in self._shown():
            status = Text(step.status, style=_COLOURS[step.status])
            table.add_row(Text(step.transform.name), status, Text(told(step)))
        return Group(Text(self.title), table)

    def _shown(self) -> list[Step]:
        """As many steps as the terminal has lines for, around the one that runs."""
        import shutil

        room = max(shutil.get_terminal_size().lines - 6, 5)
        first = max(0, min(self.ended - room // 2, len(self.steps) - room))
        return list(self.steps[first : first + room])


def progress(steps: Sequence[Step], title: str, *, verbose: bool) -> Counted:
    """A live table, if there is a terminal and what draws it."""
    if sys.stdout.isatty() and not verbose:
        try:
            return Live(steps, title, quiet=True)
        except ImportError:
            pass
    return Lines(steps, title, quiet=not verbose)


def told(step: Step) -> str:
    """What is to be said of a step, in a line."""
    if step.why:
        return step.brief
    parts = [counted(step.rows, "row")] if step.rows is not None else []
    parts += [f"{step.seconds:.2f} s"] if step.seconds is not None else []
    parts += [counted(step.warned, "warning")] if step.warned else []
    return ", ".join(parts)


@contextlib.contextmanager
def without_logs() -> Iterator[None]:
    """Without what operators log: it would be drawn over, and an error says itself what went wrong."""
    sink = io.StringIO()
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.stdout)
    ]
    streams = [handler.stream for handler in handlers]
    factory = sys.modules["structlog"].get_config()["logger_factory"] if "structlog" in sys.modules else None
    native = vars(factory)["io"] if factory is not None and "io" in vars(factory) else None
    for handler in handlers:
        handler.setStream(sink)
    if native is not None:
        vars(factory)["io"] = sink
    try:
        yield
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            handler.setStream(stream)
        if native is not None:
            vars(factory)["io"] = native
