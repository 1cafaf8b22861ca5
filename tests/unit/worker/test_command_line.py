"""How `worker` answers a call that no command understands."""

import json

import pytest
from click.testing import CliRunner

from dvllm_worker.cli import main

WRONG = [
    (("stake", "nonsense"), "'nonsense' is not a decimal amount"),
    (("stake",), "Missing argument 'AMOUNT'"),
    (("status", "--nonsense"), "No such option"),
    (("nonsense",), "No such command 'nonsense'"),
]


@pytest.mark.parametrize(("arguments", "told"), WRONG)
def test_wrong_call__with_json__is_an_object_too(arguments: tuple[str, ...], told: str) -> None:
    done = CliRunner().invoke(main, [*arguments, "--json"])
    error = json.loads(done.stdout)
    assert (done.exit_code, error["error"], error["hint"]) == (2, "UsageError", None)
    assert told in error["message"]
    assert told in done.stderr


@pytest.mark.parametrize(("arguments", "told"), WRONG)
def test_wrong_call__without_json__is_told_to_a_person(
    arguments: tuple[str, ...], told: str
) -> None:
    done = CliRunner().invoke(main, list(arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
