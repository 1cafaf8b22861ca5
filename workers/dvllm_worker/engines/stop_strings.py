"""Cuts an answer before the first stop string while it streams."""

from collections.abc import Sequence


class StopCutter:
    """Feed pieces of text, get what may be shown: never a stop string, nor the start of one.

    Text that could still become a stop string is held back until the next piece decides.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.is_hit = False

    def feed(self, piece: str) -> str:
        if self.is_hit:
            return ""
        text = self._held + piece
        cut = self._first_stop(text)
        if cut is not None:
            self.is_hit = True
            self._held = ""
            return text[:cut]
        n_held = self._n_undecided(text)
        self._held = text[len(text) - n_held :]
        return text[: len(text) - n_held]

    def flush(self) -> str:
        """What was held back; for the end of an answer without a hit."""
        held, self._held = self._held, ""
        return held

    def _first_stop(self, text: str) -> int | None:
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        return min(found, default=None)

    def _n_undecided(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop string."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for n in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-n:]) for stop in self._stops):
                return n
        return 0
