"""Errors that no command of `dvllm` tells itself, such as a wrong option: as JSON where asked."""

import json
from typing import Any

import click

from decentralized_vllm.process.lazy_group import LazyGroup
from decentralized_vllm.protocol.errors import DvllmError

_WANTS_JSON = f"{__name__}.wants_json"


class JsonErrorsGroup(LazyGroup):
    """The same goes to standard error. An error of the library has its exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_WANTS_JSON] = "--json" in args  # which nobody has read when reading fails
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            if ctx.meta[_WANTS_JSON]:
                click.echo(json.dumps({"error": _told(error, error.__cause__)}))
            if not isinstance(error.__cause__, DvllmError):
                raise
            from decentralized_vllm.cli.running import exit_code

            error.show()
            raise SystemExit(exit_code(error.__cause__)) from error


def _told(error: click.ClickException, cause: BaseException | None) -> dict[str, str | None]:
    if isinstance(error, click.UsageError):
        return {"type": "UsageError", "message": error.format_message(), "hint": None}
    if isinstance(cause, DvllmError):
        return {"type": type(cause).__name__, "message": cause.message, "hint": cause.hint}
    return {"type": type(cause or error).__name__, "message": error.format_message(), "hint": None}
