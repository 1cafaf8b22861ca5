"""`dvllm wallet new | import | show`: the key itself. None of them needs a network."""

from typing import Any

import click

from decentralized_vllm.cli.options import devnet_option, json_option, key_options

_place_options = (
    click.option("--data-dir", metavar="FOLDER", help="Where the key is kept by default."),
    click.option("--config", metavar="FILE", help="Settings file instead of client.toml."),
)


def _options(command: Any) -> Any:
    for option in _place_options:
        command = option(command)
    return json_option(key_options(command))


@click.command()
@_options
def new(as_json: bool, **options: Any) -> None:
    """Make a key and write it into a keystore. Keep a copy: nobody else has one."""
    from decentralized_vllm.chain.keys import new_key
    from decentralized_vllm.cli.keeping import keep_and_show

    keep_and_show(new_key, options, as_json=as_json)


@click.command("import")
@click.option("--key-file", type=click.File("rb"), help="Holds the key; else a prompt asks.")
@_options
def import_key(key_file: Any, as_json: bool, **options: Any) -> None:
    """Put an existing key (64 hex digits) into a keystore."""
    from decentralized_vllm.cli.keeping import import_and_show

    import_and_show(key_file, options, as_json=as_json)


@click.command()
@devnet_option
@_options
def show(as_json: bool, **options: Any) -> None:
    """Show the address of the key that pays, and where it is kept; needs no passphrase."""
    from decentralized_vllm.cli.keeping import show_address

    show_address(options, as_json=as_json)
