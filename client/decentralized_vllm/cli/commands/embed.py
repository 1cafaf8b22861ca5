"""`dvllm embed`: vectors of texts."""

from collections.abc import Sequence
from typing import Any, BinaryIO

import click

from decentralized_vllm.cli.options import (
    connection_options,
    json_option,
    key_options,
    timeout_option,
)


@click.command(
    epilog="""\b
    Examples:
      dvllm embed "a cat" "a kitten"
      dvllm embed --model smollm2-135m-instruct --file lines.txt > vectors.jsonl
      cat lines.txt | dvllm embed --json -
    """
)
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--file", "-f", "file", type=click.File("rb"), help="Read texts, one a line.")
@click.option("--model", "-m", metavar="ID", help="Model id; not needed where there is only one.")
@click.option("--max-fee", metavar="TOKENS", help="Highest price of this job that is accepted.")
@click.option("--max-top-up", metavar="TOKENS", help="Most to move from the wallet into credit.")
@timeout_option
@json_option
@key_options
@connection_options
def embed(
    texts: Sequence[str], file: Any, model: str | None, as_json: bool, **options: Any
) -> None:
    """Vectors of up to 256 texts, in one job.

    - or nothing reads them from standard input, one a line. Prints a JSON list of numbers for each
    text, in their order.
    """
    from decentralized_vllm.cli.asking import embed_and_show

    embed_and_show(_texts_of(texts, file, as_json=as_json), model, as_json=as_json, options=options)


def _texts_of(texts: Sequence[str], file: BinaryIO | None, *, as_json: bool) -> Sequence[str]:
    if texts and file is not None:
        raise click.UsageError("give TEXT or --file, not both")
    from decentralized_vllm.cli.input_text import argument_bytes, decoded, standard_input

    if file is None and texts and tuple(texts) != ("-",):
        given = [argument_bytes(text) for text in texts]
        return [decoded(text, "a text is", as_json=as_json) for text in given]
    data = standard_input(as_json=as_json) if file is None else file.read()
    return _lines_of(decoded(data, "the texts are", as_json=as_json), as_json=as_json)


def _lines_of(text: str, *, as_json: bool) -> list[str]:
    """An empty one is told, not skipped: vectors and lines would no longer stand side by side."""
    from decentralized_vllm.cli.input_text import refuse

    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    for number, line in enumerate(lines, start=1):
        if not line:
            refuse(f"line {number} is empty: each line is a text", as_json=as_json)
    return lines
