"""Texts that come from files and pipes, where anything may be in them."""

from typing import NoReturn

from decentralized_vllm.cli.running import fail
from decentralized_vllm.protocol.errors import InvalidPrompt


def decoded(data: bytes, what_is: str, *, as_json: bool) -> str:
    """Ends the process for what is not UTF-8. `what_is` begins the error, as "the prompt is"."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        refuse(f"{what_is} not UTF-8 at byte {error.start}", as_json=as_json)


def refuse(reason: str, *, as_json: bool) -> NoReturn:
    fail(InvalidPrompt(reason), as_json=as_json)
