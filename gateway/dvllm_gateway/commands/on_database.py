"""What commands over the gateway's database share: how they open it, fail and print.

They may be used while the gateway runs.
"""

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NoReturn

import click

from decentralized_vllm.protocol.errors import DvllmError
from dvllm_gateway.errors import GatewayError
from dvllm_gateway.ids import AccountId, read_account_id
from dvllm_gateway.state import Database, open_database

Result = Mapping[str, Any]
Work = Callable[..., Coroutine[Any, Any, Result]]

DATABASE_VARIABLE = "DVLLM_GATEWAY__DATABASE"

_OPTIONS = (
    click.option(
        "--database",
        envvar=DATABASE_VARIABLE,
        show_envvar=True,
        required=True,
        metavar="PATH|URL",
        help="The gateway's database.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


def database_command(
    *, name: str, say: Callable[[Result], str], help_text: str
) -> Callable[[Work], click.Command]:
    """Makes `work(database, **options)` a command. Its result is printed by `say`, or as JSON."""

    def decorate(work: Work) -> click.Command:
        @functools.wraps(work)
        def run(database: str, as_json: bool, **options: Any) -> None:
            try:
                result = asyncio.run(_worked(database, work, options))
            except (DvllmError, GatewayError) as error:
                _fail(error, as_json=as_json)
            click.echo(json.dumps(result) if as_json else say(result))

        command = click.command(name=name, help=help_text)(run)
        for option in reversed(_OPTIONS):
            command = option(command)
        return command

    return decorate


async def _worked(location: str, work: Work, options: Mapping[str, Any]) -> Result:
    async with open_database(location) as database:
        return await _with(database, work, options)


async def _with(database: Database, work: Work, options: Mapping[str, Any]) -> Result:
    return await work(database, **options)


def _fail(error: DvllmError | GatewayError, *, as_json: bool) -> NoReturn:
    """One line for a person, or one object for a program; never a traceback."""
    if as_json:
        told = {"error": type(error).__name__, "message": error.message}
        click.echo(json.dumps(told))
        raise SystemExit(1)
    hint = error.hint if isinstance(error, DvllmError) else error.details
    raise click.ClickException(f"{error.message}\n  -> {hint}" if hint else error.message)


class AccountName(click.ParamType[AccountId]):
    """A wallet's address, or a name the operator gives."""

    name = "account"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> AccountId:
        try:
            return read_account_id(str(value))
        except GatewayError as error:
            self.fail(error.message, param, ctx)
