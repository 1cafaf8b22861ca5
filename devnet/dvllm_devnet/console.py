"""What a person sees while a network starts and works: lines, and one moving line on a terminal."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

import rich.console


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
    def waiting(self, what: str) -> Iterator[Callable[[str], None]]:
        """Yields a function that tells how the wait goes on.

        Without a terminal every change is a line of its own, so that a log shows it too.
        """
        if not self._rich.is_terminal:
            self.step(f"{what} ...")
            yield self._tell_changes()
            return
        with self._rich.status(_plain(what)) as status:
            yield lambda news: status.update(_plain(f"{what}: {news}"))

    def _tell_changes(self) -> Callable[[str], None]:
        last = ""

        def tell(news: str) -> None:
            nonlocal last
            if news != last:
                last = news
                self.step(f"  {news}")

        return tell


def _plain(text: str) -> str:
    """Text that rich takes as it is: a prompt or an answer may hold square brackets."""
    return text.replace("[", r"\[")
