"""Texts that come from files and pipes, where anything may be in them."""

import os
import sys
from typing import NoReturn

from decentralized_vllm.cli.running import fail
from decentralized_vllm.protocol.errors import InvalidPrompt


def decoded(data: bytes, what_is: str, *, as_json: bool) -> str:
    """Ends the process for what is not UTF-8. `what_is` begins the error, as "the prompt is"."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        refuse(f"{what_is} not UTF-8 at byte {error.start}", as_json=as_json)


def standard_input(*, as_json: bool) -> bytes:
    """Ends the process where there is none, or a folder in its place."""
    if sys.stdin is None:
        refuse("the standard input is closed", as_json=as_json)
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        refuse(f"the standard input can not be read: {error.strerror}", as_json=as_json)


def argument_bytes(argument: str) -> bytes:
    """As it was given: what is no text in the shell's encoding may be text all the same."""
    return os.fsencode(argument)


def refuse(reason: str, *, as_json: bool) -> NoReturn:
    fail(InvalidPrompt(reason), as_json=as_json)
