"""Commands that the pages show exist, with the flags that are shown; so do targets of make."""

import re
import shlex
from pathlib import Path

import click
import pytest

from decentralized_vllm.cli.main import main as dvllm
from dvllm_devnet.cli import main as devnet
from dvllm_gateway.cli import main as gateway
from dvllm_worker.cli import main as worker
from tests.unit.docs.pages import PAGES, ROOT, blocks, name_of, text_of

PROGRAMS: dict[str, click.Command] = {
    "dvllm": dvllm,
    "worker": worker,
    "gateway": gateway,
    "dvllm-devnet": devnet,
}
TARGETS = set(re.findall(r"^([.\w/-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
OF_TODAY = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which tells of the past


def shell_lines(page: Path) -> list[str]:
    """What a reader may type: lines of shell blocks and indented ones, and what stands in `…`."""
    text = text_of(page)
    typed = [line for block in blocks(text, "", "bash") for line in block.splitlines()]
    typed += re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    return typed + re.findall(r"`([^`\n]+)`", re.sub(r"```", "", text))


def calls(page: Path) -> list[list[str]]:
    """Of programs of ours, word by word."""
    lines = [line for line in shell_lines(page) if line.split(" ")[0] in PROGRAMS]
    return [shlex.split(line, comments=True) for line in lines]


def unknown_in(words: list[str]) -> list[str]:
    """What of one call is neither a command nor a flag of the command that is called."""
    command, rest = PROGRAMS[words[0]], words[1:]
    while isinstance(command, click.Group) and rest and rest[0].isascii():
        found = command.get_command(click.Context(command), rest[0])
        if found is None:
            return [" ".join(words)]
        command, rest = found, rest[1:]
    if isinstance(command, click.Group):
        return []  # `dvllm … --devnet` stands for any of its commands
    known = {flag for option in command.params for flag in option.opts} | {"-h", "--help"}
    return [flag for flag in rest if flag.startswith("-") and len(flag) > 1 and flag not in known]


@pytest.mark.parametrize("page", OF_TODAY, ids=name_of)
def test_commands__of_a_page__exist(page: Path) -> None:
    assert [part for words in calls(page) for part in unknown_in(words)] == []


@pytest.mark.parametrize("page", OF_TODAY, ids=name_of)
def test_make_targets__of_a_page__exist(page: Path) -> None:
    named = [
        found[1]
        for line in shell_lines(page)
        if (found := re.match(r"(?:\w+=\S+ )*make ([\w./-]+)", line))
    ]
    assert [target for target in named if target not in TARGETS] == []


def test_unknown_in__a_command_or_flag_that_is_none__is_told() -> None:
    assert unknown_in(["worker", "serve", "x"]) == ["worker serve x"]
    assert unknown_in(["worker", "stake", "1", "--all"]) == ["--all"]
