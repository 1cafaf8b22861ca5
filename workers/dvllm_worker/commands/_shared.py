"""What all commands share: their options, how they fail, and how they print."""

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from decentralized_vllm.protocol.errors import DvllmError, InvalidAmount
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.units import parse_tokens
from dvllm_worker.logs import set_up_logging
from dvllm_worker.settings import WorkerSettings, load_settings

Result = Mapping[str, Any]
Work = Callable[..., Coroutine[Any, Any, Result]]

_OPTIONS = (
    click.option("--config", type=click.Path(path_type=Path), help="worker.toml to read."),
    click.option("--data-dir", type=click.Path(path_type=Path), help="Journal, store and models."),
    click.option("--rpc", metavar="URL", help="RPC of the chain; several with commas."),
    click.option("--contract", metavar="ADDRESS", help="Address of the InferenceCoordinator."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


def node_command(
    *, name: str, say: Callable[[Result], str], help_text: str
) -> Callable[[Work], click.Command]:
    """Makes `work(settings, **options)` a command. Its result is printed by `say`, or as JSON."""

    def decorate(work: Work) -> click.Command:
        @functools.wraps(work)
        def run(
            config: Path | None,
            data_dir: Path | None,
            rpc: str | None,
            contract: str | None,
            as_json: bool,
            **options: Any,
        ) -> None:
            try:
                settings = load_settings(config, flags(data_dir, rpc, contract))
                prepare(settings)
                result = run_to_end(work(settings, **options))
            except DvllmError as error:
                fail(error, as_json=as_json)
            click.echo(json.dumps(result) if as_json else say(result))

        command = click.command(name=name, help=help_text)(run)
        for option in reversed(_OPTIONS):
            command = option(command)
        return command

    return decorate


def flags(data_dir: Path | None, rpc: str | None, contract: str | None) -> dict[str, Any]:
    """Given options only, nested as the settings are."""
    chain = {"eth_node_url": rpc, "contract_address": contract}
    given = {name: value for name, value in chain.items() if value is not None}
    nested: dict[str, Any] = {"chain": given} if given else {}
    return nested | ({"data_dir": data_dir} if data_dir is not None else {})


def prepare(settings: WorkerSettings) -> None:
    set_up_logging(
        log_format=settings.log_format, level=settings.log_level, secrets=secrets_of(settings)
    )
    settings.data_dir.mkdir(parents=True, exist_ok=True)


def secrets_of(settings: WorkerSettings) -> list[str]:
    """What may never be seen in a log: keys, and URLs of RPCs, which often hold a token."""
    secrets = [secret for secret in (settings.key.private_key, settings.engine.api_key) if secret]
    texts = [secret.get_secret_value() for secret in secrets]
    return texts + [text.removeprefix("0x") for text in texts]


def run_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Raises the first DvllmError of a group as itself."""
    try:
        return asyncio.run(work)
    except BaseExceptionGroup as group:
        known = group.subgroup(DvllmError)
        if known is None:
            raise
        raise first_of(known) from group


def first_of(group: BaseExceptionGroup[DvllmError]) -> DvllmError:
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


def fail(error: DvllmError, *, as_json: bool) -> NoReturn:
    """One line for a person, or one object for a program; never a traceback."""
    if as_json:
        report = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
        click.echo(json.dumps(report))
        raise SystemExit(1)
    line = f"{error.message}\n  -> {error.hint}" if error.hint else error.message
    raise click.ClickException(line)


class TokenAmount(click.ParamType[Wei]):
    """A decimal amount of tokens, as wei."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Wei:
        if isinstance(value, int):
            return Wei(value)
        try:
            return parse_tokens(str(value))
        except InvalidAmount as error:
            self.fail(error.message, param, ctx)
