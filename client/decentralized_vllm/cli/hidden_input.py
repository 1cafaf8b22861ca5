"""Asks a person for what nobody may see on the screen."""

import sys
import warnings
from getpass import GetPassWarning

import click

from decentralized_vllm.process.terminal import has_terminal
from decentralized_vllm.protocol.errors import SettingError


def ask_hidden(prompt: str, *, confirm: bool = False, unasked: SettingError) -> str:
    """Raises `unasked` where nobody can be asked and nothing is piped in."""
    if sys.stdin is None and not has_terminal():
        raise unasked
    try:
        with warnings.catch_warnings(action="ignore", category=GetPassWarning):  # of piped ones
            return str(click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True))
    except click.Abort:
        if has_terminal():
            raise
    raise unasked
