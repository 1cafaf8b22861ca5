"""The command group `content`. It only parses; what the commands do is imported when one runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_PROFILES = ("v0", "v1", "v1-2025")
_DEFAULT_MAX_BYTES = 1 << 40

Command = Callable[..., Any]


def _where_options(command: Command) -> Command:
    """Which store a command works on, and how it prints."""
    store = click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="DVLLM_CLIENT__STORE",
        help="Folder of the store.  [default: the user's data folder]",
    )
    api = click.option("--api", metavar="URL", help="Use a running server (or a Kubo) instead.")
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    return store(api(as_json(command)))


_gateway_option = click.option(
    "--gateway",
    "gateways",
    metavar="URL",
    multiple=True,
    help="Where to read what the store lacks; may be given several times, tried in order.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def content() -> None:
    """Files by their content address (CID): add, read, pin and serve them.

    \b
    dvllm content add prompt.txt
    dvllm content cat bafkrei…
    dvllm content serve
    """


@content.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--profile", type=click.Choice(_PROFILES), default="v1", show_default=True)
@click.option("--only-hash", is_flag=True, help="Compute the CIDs, store nothing.")
@_where_options
def add(paths: tuple[Path, ...], profile: str, only_hash: bool, **where: Any) -> None:
    """Store and pin files or folders; prints their CIDs.

    \b
    dvllm content add prompt.txt
    echo "Why is the sky blue?" | dvllm content add -
    dvllm content add --only-hash models/smollm
    """
    from decentralized_vllm.content import cli_actions

    cli_actions.run(cli_actions.add(paths, profile=profile, only_hash=only_hash, **where))


@content.command()
@click.argument("path")
@_gateway_option
@click.option("--max-bytes", type=click.IntRange(min=0), default=_DEFAULT_MAX_BYTES)
@_where_options
def cat(path: str, **options: Any) -> None:
    """Write one file, named by CID or CID/name, to standard output.

    \b
    dvllm content cat bafkrei…
    dvllm content cat bafybei…/config.json --gateway http://127.0.0.1:8081
    """
    from decentralized_vllm.content import cli_actions

    cli_actions.run(cli_actions.cat(path, **options))


@content.command()
@click.argument("path")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Where to.  [default: the CID]"
)
@_gateway_option
@click.option("--max-bytes", type=click.IntRange(min=0), default=_DEFAULT_MAX_BYTES)
@_where_options
def get(path: str, output: Path | None, **options: Any) -> None:
    """Write a file or a folder to disk; broken off, the same call goes on where it stopped.

    \b
    dvllm content get bafybei… -o models/smollm --gateway http://127.0.0.1:8081
    """
    from decentralized_vllm.content import cli_actions

    cli_actions.run(cli_actions.get(path, output, **options))


@content.command()
@click.argument("cids", nargs=-1)
@click.option("--remove", is_flag=True, help="Unpin; the next collection may delete the blocks.")
@_gateway_option
@_where_options
def pin(cids: tuple[str, ...], remove: bool, **options: Any) -> None:
    """Keep trees for good, fetching what is missing; without a CID, list what is kept.

    \b
    dvllm content pin
    dvllm content pin bafybei… --gateway http://127.0.0.1:8081
    dvllm content pin --remove bafybei…
    """
    from decentralized_vllm.content import cli_actions

    cli_actions.run(cli_actions.pin(cids, remove=remove, **options))


@content.command()
@click.argument("path")
@_gateway_option
@_where_options
def ls(path: str, **options: Any) -> None:
    """List a folder, named by CID or CID/name.

    \b
    dvllm content ls bafybei…
    """
    from decentralized_vllm.content import cli_actions

    cli_actions.run(cli_actions.ls(path, **options))


@content.command()
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="DVLLM_CLIENT__STORE",
    help="Folder of the store.  [default: the user's data folder]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def gc(store: Path | None, as_json: bool) -> None:
    """Delete what no pin keeps, to make room.

    \b
    dvllm content pin --remove bafybei…
    dvllm content gc
    """
    from decentralized_vllm.content import cli_actions

    cli_actions.run(cli_actions.gc(store=store, as_json=as_json))


@content.command()
@click.option("--api-port", type=click.IntRange(0, 65535), default=5001, show_default=True)
@click.option("--gateway-port", type=click.IntRange(0, 65535), default=8081, show_default=True)
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="DVLLM_CLIENT__STORE",
    help="Folder of the store.  [default: the user's data folder]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object once it listens.")
def serve(api_port: int, gateway_port: int, store: Path | None, as_json: bool) -> None:
    """Serve the store on this machine until Ctrl-C: Kubo's API and a verified gateway.

    Both listen on 127.0.0.1. Port 0 takes a free one.

    \b
    dvllm content serve
    dvllm content serve --api-port 0 --gateway-port 0 --json
    """
    from decentralized_vllm.content import cli_actions

    cli_actions.run(cli_actions.serve(api_port, gateway_port, store=store, as_json=as_json))
