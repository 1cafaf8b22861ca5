"""The commands of `dvllm-devnet`: a local network that stays up, and the demonstration."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import click

from decentralized_vllm.protocol.errors import DvllmError
from dvllm_devnet.console import Console
from dvllm_devnet.demo.run import DEFAULT_PROMPT, HOME_NAME, run_demo
from dvllm_devnet.engine_choice import engine_section
from dvllm_devnet.keeping import keep_running
from dvllm_devnet.lifetime import Stopped, run_until_stopped
from dvllm_devnet.network import running_network
from dvllm_devnet.network_plan import NetworkPlan, on_free_ports
from dvllm_devnet.settings import (
    FILE_NAME,
    EngineChoice,
    for_demo,
    load_settings,
    with_workers,
)

_SIGNAL_EXIT = 128  # and the signal's number, as shells have it

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path(FILE_NAME),
    show_default=True,
    help="Ports, clocks, prices; its folder has node_modules.",
)
home_option = click.option(
    "--home",
    type=click.Path(path_type=Path),
    default=Path(".devnet"),
    show_default=True,
    help="The only folder that is written to.",
)
engine_option = click.option(
    "--engine",
    type=click.Choice(get_args(EngineChoice)),
    envvar="ENGINE",
    default="auto",
    show_default=True,
    help="auto: vLLM where it is installed, else transformers.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, envvar="JSON", help="Last line: one JSON object."
)


@click.command()
@click.option("--workers", type=int, envvar="WORKERS", help="How many workers.")
@click.option("--fresh", is_flag=True, envvar="FRESH", help="Forget the last network.")
@engine_option
@config_option
@home_option
@json_option
def up(
    workers: int | None, fresh: bool, engine: EngineChoice, config: Path, home: Path, as_json: bool
) -> None:
    """Start the network and keep it until Ctrl-C or SIGTERM.

    While it runs, .devnet/devnet.json tells where everything is.

    \b
    Examples:
      dvllm-devnet up
      dvllm-devnet up --workers 3 --fresh
    """
    console = Console(for_json=as_json)
    with _errors_told_plainly():
        plan = NetworkPlan(
            root=config.parent.resolve(),
            home=home.resolve(),
            settings=with_workers(load_settings(config), workers),
            engine=engine_section(engine, config.parent.resolve()),
            is_fresh=fresh,
        )
        try:
            run_until_stopped(_stay_up(plan, console, as_json=as_json))
        except Stopped:
            console.step("ended")  # this is how such a network ends


@click.command()
@click.option("--prompt", envvar="PROMPT", default="", help=f"Default: {DEFAULT_PROMPT}")
@engine_option
@config_option
@home_option
@json_option
def demo(prompt: str, engine: EngineChoice, config: Path, home: Path, as_json: bool) -> None:
    """Run the main job on a network of its own: an answer, a takeover, a refund.

    \b
    Examples:
      dvllm-devnet demo
      dvllm-devnet demo --prompt "Why is the sky blue?" --json
    """
    console = Console(for_json=as_json)
    with _errors_told_plainly():
        plan = NetworkPlan(
            root=config.parent.resolve(),
            home=home.resolve() / HOME_NAME,
            settings=on_free_ports(for_demo(load_settings(config))),
            engine=engine_section(engine, config.parent.resolve()),
            is_fresh=True,
            keeps_content=True,
        )
        try:
            report = run_until_stopped(run_demo(plan, prompt or DEFAULT_PROMPT, console))
        except Stopped as stopped:
            console.step("ended before it was over; nothing is left running")
            raise SystemExit(_SIGNAL_EXIT + stopped.signal) from None
    if as_json:
        click.echo(report.model_dump_json())


async def _stay_up(plan: NetworkPlan, console: Console, *, as_json: bool) -> None:
    async with running_network(plan, console) as network:
        console.step(f"ready: {network.layout.manifest} tells where everything is; Ctrl-C ends")
        if as_json:
            click.echo(network.manifest.model_dump_json())
        await keep_running(network, console)


@contextmanager
def _errors_told_plainly() -> Iterator[None]:
    """One message for a person instead of a traceback; what is unexpected keeps its own."""
    try:
        yield
    except DvllmError as error:
        raise _plainly(error) from error
    except BaseExceptionGroup as group:
        known = group.subgroup(DvllmError)
        if known is None:
            raise
        raise _plainly(_first(known)) from group


def _plainly(error: DvllmError) -> click.ClickException:
    return click.ClickException(
        f"{error.message}\n  -> {error.hint}" if error.hint else error.message
    )


def _first(group: BaseExceptionGroup[DvllmError]) -> DvllmError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
