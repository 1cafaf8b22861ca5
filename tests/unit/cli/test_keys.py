"""`dvllm wallet new` and `import`: what is said where a key can not be had or kept."""

import errno
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from decentralized_vllm.cli import keeping
from decentralized_vllm.cli.main import main


def wallet(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["wallet", *map(str, arguments)])


@pytest.fixture
def place(tmp_path: Path) -> list[object]:
    (tmp_path / "passphrase").write_text("correct horse\n")
    return ["--keystore", tmp_path / "key.json", "--passphrase-file", tmp_path / "passphrase"]


def test_import__file_of_other_bytes__names_the_flag(tmp_path: Path, place: list[object]) -> None:
    (tmp_path / "bytes").write_bytes(b"\xcd\xff")
    told = wallet("import", "--key-file", tmp_path / "bytes", *place)
    assert told.exit_code == 2
    assert told.stderr.endswith("bytes is no text of hex digits [--key-file]\n")


@pytest.mark.parametrize("given", ["<&-", "</dev/null"])
@pytest.mark.parametrize(
    ("command", "flag"), [("import", "[--key-file]"), ("new", "[--passphrase-file or ")]
)
def test_nobody_to_ask__is_told_by_the_flag(
    tmp_path: Path, given: str, command: str, flag: str
) -> None:
    program = "from decentralized_vllm.cli import main; main()"
    words = [sys.executable, "-c", program, "wallet", command, "--keystore", str(tmp_path / "key")]
    done = subprocess.run(
        ["/bin/sh", "-c", f"{shlex.join(words)} {given}"],
        capture_output=True,
        text=True,
        start_new_session=True,  # no terminal
        check=False,
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert "there is no terminal" in last and flag in last


def test_new__disk_full__is_told_and_leaves_no_half_keystore(
    tmp_path: Path, place: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(_: object, __: str, path: Path) -> None:
        path.write_text("{")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keeping, "save_keystore", write_half)
    told = wallet("new", "--json", *place)
    assert told.exit_code == 2
    error = json.loads(told.stdout)["error"]
    assert error["message"].endswith("key.json can not be written: No space left on device")
    assert not (tmp_path / "key.json").exists()


def test_new__folder_that_is_none__is_told(tmp_path: Path, place: list[object]) -> None:
    told = wallet("new", *place, "--keystore", tmp_path / "passphrase" / "key.json")
    assert told.exit_code == 2
    assert "can not be written: " in told.stderr
