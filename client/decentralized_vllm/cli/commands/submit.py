"""`dvllm submit`: ask a model."""

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
      dvllm submit --wait "What is artificial intelligence?"
      dvllm submit --model smollm2-135m-instruct --file question.txt --max-tokens 200
      cat question.txt | dvllm submit --wait --json -
      dvllm submit --wait --tools tools.json --tool-choice get_weather "Weather in Oslo?"
      dvllm submit --wait --token-ids "504 3575 282"
    """
)
@click.argument("prompt", required=False)
@click.option("--file", "-f", "file", type=click.File("rb"), help="Read the prompt from a file.")
@click.option(
    "--token-ids",
    is_flag=True,
    help="The prompt is token ids, parted by spaces or commas; no chat template is applied.",
)
@click.option("--model", "-m", metavar="ID", help="Model id; not needed where there is only one.")
@click.option("--max-tokens", type=int, default=100, show_default=True)
@click.option("--temperature", type=float, default=1.0, show_default=True, help="0 is greedy.")
@click.option("--top-p", type=float, default=1.0, show_default=True)
@click.option("--top-k", type=int, default=0, help="0, the default, is no limit.")
@click.option("--stop", multiple=True, metavar="TEXT", help="End here; may be given again.")
@click.option("--seed", type=int, help="The same answer again, where the engine can.")
@click.option(
    "--tools", metavar="FILE", help="Functions the model may call: a JSON list as OpenAI has it."
)
@click.option(
    "--tool-choice", metavar="CHOICE", help="auto, required, none, or the name that must be called."
)
@click.option("--max-fee", metavar="TOKENS", help="Highest price of this job that is accepted.")
@click.option("--max-top-up", metavar="TOKENS", help="Most to move from the wallet into credit.")
@click.option("--wait", is_flag=True, help="Wait for the answer and print it.")
@timeout_option
@json_option
@key_options
@connection_options
def submit(
    prompt: str | None, file: Any, model: str | None, wait: bool, as_json: bool, **options: Any
) -> None:
    """Ask a model. PROMPT is the question; - or nothing reads it from standard input.

    Prints the job's number, or with --wait the answer: its text, and a line for each call of a
    tool, which is yours to run.
    """
    from decentralized_vllm.cli.asking import ask_and_show

    text = _text_of(prompt, file, as_json=as_json)
    ask_and_show(text, model, wait=wait, as_json=as_json, options=options)


def _text_of(prompt: str | None, file: BinaryIO | None, *, as_json: bool) -> str:
    if prompt is not None and file is not None:
        raise click.UsageError("give PROMPT or --file, not both")
    from decentralized_vllm.cli.input_text import argument_bytes, decoded, standard_input

    if file is not None:
        data = file.read()
    elif prompt is not None and prompt != "-":
        data = argument_bytes(prompt)
    else:
        data = standard_input(as_json=as_json)
    return decoded(data, "the prompt is", as_json=as_json)
