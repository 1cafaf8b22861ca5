"""Names of directory entries: what may become a path on disk."""

import unicodedata
from collections.abc import Iterable

from decentralized_vllm.protocol.errors import ContentMalformed

_MAX_NAME_BYTES = 255


def check_name(name: str) -> None:
    """Raises ContentMalformed for whatever is not one plain path component."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise ContentMalformed(f"the name {name!r} is not UTF-8") from error
    if not name or name in (".", ".."):
        raise ContentMalformed(f"{name!r} is not a file name")
    if size > _MAX_NAME_BYTES:
        raise ContentMalformed(f"a name of {size} bytes is longer than {_MAX_NAME_BYTES}")
    if any(char in "/\\\x7f" or char < " " for char in name):
        raise ContentMalformed(f"the name {name!r} holds a separator or a control character")


def check_distinct(names: Iterable[str]) -> None:
    """Raises ContentMalformed for names that are, or on some systems become, the same file."""
    seen: set[str] = set()
    for name in names:
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded in seen:
            raise ContentMalformed(f"two entries would both be written as {name!r}")
        seen.add(folded)
