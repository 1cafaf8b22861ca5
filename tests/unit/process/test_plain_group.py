"""Commands end by a line and a code where output can not be written, and at Ctrl-C."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from decentralized_vllm.process.plain_group import PlainGroup

FULL = Path("/dev/full")
PROGRAM = """
import click
from decentralized_vllm.process.plain_group import PlainGroup

@click.group(cls=PlainGroup)
def main(): ...

@main.command()
def tell():
    click.echo("told")

@main.command()
def work():
    raise OSError(28, "another file")

main()
"""
needs_full_device = pytest.mark.skipif(
    not FULL.exists(), reason="there is no device that is always full"
)


def run(*arguments: str, python: tuple[str, ...] = ()) -> tuple[int, str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    with FULL.open("w") as full:
        command = [sys.executable, *python, "-c", PROGRAM, *arguments]
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=environment, check=False
        )
    return ended.returncode, ended.stderr.decode()


@needs_full_device
@pytest.mark.parametrize("python", [(), ("-u",)], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("arguments", [["tell"], ["--help"], ["tell", "--help"]])
def test_output__full__is_one_line(arguments: list[str], python: tuple[str, ...]) -> None:
    assert run(*arguments, python=python) == (
        1,
        "Error: standard output cannot be written: No space left on device\n",
    )


@needs_full_device
@pytest.mark.parametrize("python", [(), ("-u",)], ids=["buffered", "unbuffered"])
def test_other_file__full__is_not_taken_for_the_output(python: tuple[str, ...]) -> None:
    code, told = run("work", python=python)
    assert code == 1
    assert "another file" in told
    assert "standard output" not in told


@click.group(cls=PlainGroup)
def program() -> None: ...


@program.command()
def work() -> None:
    raise KeyboardInterrupt


@program.command()
def ask() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:  # as click's prompts do
        raise click.Abort from None


@program.command()
def give_up() -> None:
    raise click.Abort


@pytest.mark.parametrize("command", ["work", "ask"])
def test_command__interrupted__says_so_and_exits_as_shells_have_it(command: str) -> None:
    told = CliRunner().invoke(program, [command])

    assert (told.exit_code, told.output) == (130, "interrupted\n")


def test_command__that_gives_up__was_not_interrupted() -> None:
    assert CliRunner().invoke(program, ["give-up"]).exit_code == 1
