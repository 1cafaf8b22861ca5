"""What all commands share: their options, how they fail, and how they print."""

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from decentralized_vllm.protocol.errors import DvllmError
from dvllm_gateway.errors import GatewayError
from dvllm_gateway.logs import set_up_logging
from dvllm_gateway.settings import GatewaySettings, load_settings

Result = Mapping[str, Any]
Work = Callable[..., Coroutine[Any, Any, Result]]

_OPTIONS = (
    click.option("--config", type=click.Path(path_type=Path), help="gateway.toml to read."),
    click.option("--data-dir", type=click.Path(path_type=Path), help="Database and uploads."),
    click.option("--rpc", metavar="URL", help="RPC of the chain; several with commas."),
    click.option("--contract", metavar="ADDRESS", help="Address of the InferenceCoordinator."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


def gateway_command(
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
            except (DvllmError, GatewayError) as error:
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


def prepare(settings: GatewaySettings) -> None:
    set_up_logging(
        log_format=settings.log_format, level=settings.log_level, secrets=settings.secrets
    )
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


def run_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Raises the first known error of a group as itself."""
    try:
        return asyncio.run(work)
    except BaseExceptionGroup as group:
        known = group.subgroup((DvllmError, GatewayError))
        if known is None:
            raise
        raise first_of(known) from group


def first_of(group: BaseExceptionGroup[Exception]) -> Exception:
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


def fail(error: DvllmError | GatewayError, *, as_json: bool) -> NoReturn:
    """One line for a person, or one object for a program; never a traceback."""
    hint = error.hint if isinstance(error, DvllmError) else error.details
    if as_json:
        report = {"error": type(error).__name__, "message": error.message, "hint": hint or None}
        click.echo(json.dumps(report))
        raise SystemExit(1)
    raise click.ClickException(f"{error.message}\n  -> {hint}" if hint else error.message)
