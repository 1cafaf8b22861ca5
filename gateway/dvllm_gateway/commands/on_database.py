"""Commands over the gateway's database, which may be used while the gateway runs."""

from collections.abc import Callable, Coroutine
from typing import Any

import click

from decentralized_vllm.process.commands import Result
from dvllm_gateway.commands._shared import gateway_command
from dvllm_gateway.errors import GatewayError
from dvllm_gateway.ids import AccountId, read_account_id
from dvllm_gateway.settings import GatewaySettings
from dvllm_gateway.state import open_database

Work = Callable[..., Coroutine[Any, Any, Result]]


def database_command(
    *, name: str, say: Callable[[Result], str], help_text: str
) -> Callable[[Work], click.Command]:
    """Makes `work(database, **options)` a command. Its result is printed by `say`, or as JSON."""

    def decorate(work: Work) -> click.Command:
        async def run(settings: GatewaySettings, **options: Any) -> Result:
            async with open_database(settings.database_location) as database:
                result = await work(database, **options)
            return result

        return gateway_command(name=name, say=say, help_text=help_text)(run)

    return decorate


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
