"""A click group of commands that end plainly: by a line and a code, not by a traceback."""

import os
import signal
import sys
import traceback
from typing import Any, NoReturn

import click

INTERRUPTED = 128 + signal.SIGINT


class PlainGroup(click.Group):
    """Tells an output that can not be written, such as a file on a full disk, and Ctrl-C."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except SystemExit:  # of an error that was told
            if _is_unwritten():
                _forget_output()
            raise
        except OSError as error:
            if not _is_of_output(error):
                raise
            _forget_output()
            _say(f"Error: standard output cannot be written: {error.strerror}")
            raise SystemExit(1) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # click would exit with 1, as for an error
            _end_interrupted()
        except click.Abort as abort:  # a prompt's, for Ctrl-C and for the end of the input
            if not isinstance(abort.__context__, KeyboardInterrupt):
                raise
            _end_interrupted()


def _end_interrupted() -> NoReturn:
    _say("interrupted")
    raise SystemExit(INTERRUPTED) from None


def _is_of_output(error: OSError) -> bool:
    """What a buffer could not write is still in it; without one, click was writing it."""
    if sys.stdout is None:
        return False
    if _is_unwritten():
        return True
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code is click.echo.__code__ and not frame.f_locals["err"]


def _is_unwritten() -> bool:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        return True
    return False


def _forget_output() -> None:
    """What is in its buffer would be tried again at the exit, and told once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _say(line: str) -> None:
    """A standard error that can not be written either is no reason for a traceback."""
    try:
        click.echo(line, err=True)
    except OSError:
        sys.stderr = None
