"""Token ids as text, as `dvllm submit --token-ids` takes them."""

import re

from decentralized_vllm.protocol.errors import InvalidPrompt, SettingError
from decentralized_vllm.requester.inputs import checked_token_ids

_BETWEEN = re.compile(r"\s*,\s*|\s+")
_NUMBER = re.compile(r"[0-9]{1,10}")  # longer ones are out of range, and slow to read


def token_ids_in(text: str) -> tuple[int, ...]:
    """Parted by spaces, lines or commas, in brackets or not. Raises SettingError."""
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1].strip()
    if not inner:
        raise SettingError("token_ids", "the prompt is empty")
    try:
        return checked_token_ids(
            [_number(word, index) for index, word in enumerate(_BETWEEN.split(inner))]
        )
    except InvalidPrompt as error:
        raise SettingError("token_ids", error.message.removeprefix("prompt: ")) from error


def _number(word: str, index: int) -> int:
    if not _NUMBER.fullmatch(word):
        raise InvalidPrompt(f"prompt: the token id at index {index} is not a whole number")
    return int(word)
