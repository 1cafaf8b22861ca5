"""Prints: answers and lists on standard output, everything about them on standard error."""

import contextlib
import json
from typing import Any

import click


def show(fields: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(fields, ensure_ascii=False))
        return
    for line in lines:
        click.echo(line)


def remark(line: str) -> None:
    """A log that can not be written costs no answer, which may be paid by then."""
    with contextlib.suppress(OSError):
        click.echo(line, err=True)
