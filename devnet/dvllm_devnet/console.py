"""What a person sees while a network starts and works: lines, and one moving line on a terminal."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO

import rich.console
from rich.status import Status

_COUNT_INTERVAL_S = 2.0


class Console:
    """Tells on standard output, or on standard error when that is kept for one JSON object."""

    def __init__(self, *, for_json: bool, stream: TextIO | None = None) -> None:
        self._file = stream or (sys.stderr if for_json else sys.stdout)
        self._rich = rich.console.Console(file=self._file, highlight=False)
        self._started_s = time.monotonic()

    def say(self, line: str) -> None:
        self._rich.print(line, markup=False, soft_wrap=True)

    def step(self, line: str) -> None:
        """A line with the seconds since the start before it."""
        self.say(f"{time.monotonic() - self._started_s:6.1f} s  {line}")

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator["Wait"]:
        self.step(what)
        if not self._rich.is_terminal:
            yield Wait(self, None)
            return
        with self._rich.status(_plain(what)) as status:
            yield Wait(self, status)


class Wait:
    """Something that takes time. Milestones stay on the screen, counts pass by."""

    def __init__(self, console: Console, status: Status | None) -> None:
        self._console = console
        self._status = status
        self._counted_s = 0.0

    def milestone(self, news: str) -> None:
        self._console.step(f"  {news}")

    def count(self, news: str) -> None:
        """Without a terminal a line now and then, so that a log shows it too."""
        if self._status is not None:
            self._status.update(_plain(news))
        elif time.monotonic() - self._counted_s >= _COUNT_INTERVAL_S:
            self._counted_s = time.monotonic()
            self._console.step(f"  {news}")


def _plain(text: str) -> str:
    """Text that rich takes as it is: a prompt or an answer may hold square brackets."""
    return text.replace("[", r"\[")
