"""`dvllm upload-model`: publish a model directory."""

from typing import Any

import click

from decentralized_vllm.cli.options import connection_options, json_option, key_options


@click.command(
    epilog="""\b
    Example:
      dvllm upload-model ./my_model --id custom-model --name "My Custom Model" \\
          --max-fee 0.01 --output-price 0.00001
    """
)
@click.argument("path", type=click.Path(exists=True, file_okay=False))
@click.option("--id", "model_id", required=True, help="Model id; see below who may use which.")
@click.option("--name", required=True, help="Name for people.")
@click.option("--description", default="")
@click.option("--max-fee", metavar="TOKENS", help="Highest price of one job.")
@click.option("--flat-fee", metavar="TOKENS", help="Part of the price without usage.")
@click.option("--input-price", metavar="TOKENS", help="Price of one input token.")
@click.option("--output-price", metavar="TOKENS", help="Price of one output token.")
@click.option("--lease", type=int, metavar="SECONDS", help="Time a node has to answer.")
@click.option("--open", "open_s", type=int, metavar="SECONDS", help="Time a job may wait.")
@click.option("--max-input-tokens", type=int)
@click.option("--max-output-tokens", type=int)
@json_option
@key_options
@connection_options
def upload_model(path: str, as_json: bool, **options: Any) -> None:
    """Publish the directory PATH: add it to the content store, then register its CID.

    The network's owner may use any free id, everybody else `<own address>/<name>`, with the
    publisher's bond in credit. An id of your own that exists gets a new version. Terms that are
    not given are the network's default ones.
    """
    from decentralized_vllm.cli.publishing import publish_and_show

    publish_and_show(path, as_json=as_json, options=options)
