"""`gateway keys` as an operator uses it, over a database that a gateway has open."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dvllm_gateway.access import api_keys
from dvllm_gateway.cli import main
from dvllm_gateway.services.principal_cache import KEPT_S
from dvllm_gateway.settings import load_settings
from dvllm_gateway.state import open_database


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def call(data_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["keys", *arguments, "--data-dir", str(data_dir)])


def made(data_dir: Path, *arguments: str) -> dict[str, object]:
    result = call(data_dir, "create", *arguments, "--json")
    assert result.exit_code == 0, result.output
    answer: dict[str, object] = json.loads(result.stdout)
    return answer


def test_create__json__is_a_key_with_the_default_scopes(data_dir: Path) -> None:
    answer = made(data_dir, "--account", "alice")
    assert str(answer["apiKey"]).startswith(f"dvk_{answer['keyId']}_")
    assert (answer["account"], answer["scopes"]) == ("alice", ["infer", "read"])
    assert answer["lastUsedAt"] is None


def test_create__text__is_the_key_alone_for_scripts(data_dir: Path) -> None:
    result = call(data_dir, "create", "--account", "alice", "--scopes", "read,wallet")
    assert result.stdout.startswith("dvk_")
    assert result.stdout.count("\n") == 1
    assert "shown this once" in result.stderr


def test_list__keys_of_the_account__without_secrets(data_dir: Path) -> None:
    first = made(data_dir, "--account", "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
    made(data_dir, "--account", "alice")
    lower = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
    listed = json.loads(call(data_dir, "list", "--account", lower, "--json").stdout)
    assert [key["keyId"] for key in listed["keys"]] == [first["keyId"]]
    assert "apiKey" not in listed["keys"][0]
    assert str(first["keyId"]) in call(data_dir, "list", "--account", lower).stdout


def test_revoke__key__is_gone_and_not_found_again(data_dir: Path) -> None:
    key_id = str(made(data_dir, "--account", "alice")["keyId"])
    assert call(data_dir, "revoke", key_id).exit_code == 0
    again = call(data_dir, "revoke", key_id)
    assert again.exit_code != 0
    assert f"no key {key_id}" in again.output
    assert call(data_dir, "list", "--account", "alice").stdout == "no keys\n"


def test_create__scope_of_operators__needs_the_setting(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--account", "alice", "--scopes", "read,node,deploy")
    refused = call(data_dir, "create", *arguments)
    assert refused.exit_code == 1
    assert "auth.operators" in refused.output
    monkeypatch.setenv("DVLLM_GATEWAY__AUTH__OPERATORS", "alice,bob")
    assert made(data_dir, *arguments)["scopes"] == ["deploy", "node", "read"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("create",), "--account"),
        (("create", "--account", "Not A Name"), "--account"),
        (("create", "--account", "alice", "--scopes", "read,fly"), "--scopes"),
        (("create", "--account", "alice", "--scopes", ""), "--scopes"),
        (("revoke",), "KEY_ID"),
    ],
)
def test_keys__wrong_use__names_what_to_mend(
    data_dir: Path, arguments: tuple[str, ...], named: str
) -> None:
    result = call(data_dir, *arguments)
    assert result.exit_code == 2
    assert named in result.output


async def test_revoke__by_the_command__ends_a_key_of_a_running_gateway(tmp_path: Path) -> None:
    settings = load_settings(None, {"data_dir": tmp_path})
    async with open_database(settings.database_location) as database:
        keys = api_keys(settings, database)
        secret = await _run(tmp_path, "create", "--account", "alice")
        assert await keys.principal_of(secret) is not None
        await _run(tmp_path, "revoke", secret[4:12])
        await asyncio.sleep(KEPT_S)
        assert await keys.principal_of(secret) is None


async def _run(data_dir: Path, *arguments: str) -> str:
    """In a process of its own."""
    program = (sys.executable, "-c", "from dvllm_gateway.cli import main; main()", "keys")
    process = await asyncio.create_subprocess_exec(
        *program, *arguments, "--data-dir", str(data_dir), stdout=PIPE, stderr=DEVNULL
    )
    stdout, _ = await process.communicate()
    assert process.returncode == 0
    return stdout.decode().strip()
