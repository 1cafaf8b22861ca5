"""Turns token ids into text as they come, never half a character."""

from collections.abc import Callable, Sequence

REPLACEMENT = "\ufffd"  # what a tokenizer writes for bytes that are no character (yet)


class TokenText:
    """Feed ids, get the text they complete; all pieces together are `decode` of all ids.

    Only a short window is decoded again at each step: the tokens of the last piece, since some
    tokenizers drop the space before the first token they see, and the tokens not shown yet. (A
    tokenizer with byte fallback rewrites a malformed run of bytes as a whole; there the pieces
    can keep a character that decoding everything at once would not show.)
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._shown: list[int] = []
        self._waiting: list[int] = []

    def feed(self, token_id: int) -> str:
        self._waiting.append(token_id)
        text = self._new_text()
        if not text or text.endswith(REPLACEMENT):
            return ""
        self._shown, self._waiting = self._waiting, []
        return text

    def flush(self) -> str:
        """The rest, with replacement characters for bytes that never became a character."""
        text = self._new_text()
        self._shown, self._waiting = self._waiting, []
        return text

    def _new_text(self) -> str:
        before = self._decode(self._shown)
        return self._decode(self._shown + self._waiting)[len(before) :]
