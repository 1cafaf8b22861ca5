"""A program's key: what is said when it can not be had."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from decentralized_vllm.chain.keys import new_key, save_keystore
from decentralized_vllm.process import own_key
from decentralized_vllm.process.own_key import load_key
from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway import settings as gateway_settings
from dvllm_worker import settings as worker_settings

PROGRAMS = Path(sys.executable).parent


def test_keystore__that_is_not_there__is_told_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(own_key.getpass, "getpass", lambda prompt: asked.append(prompt) or "")

    with pytest.raises(SettingError, match="there is no file") as refused:
        load_key(gateway_settings.KeySection(keystore=tmp_path / "none.json"))

    assert refused.value.setting == "key.keystore"
    assert asked == []


@pytest.mark.parametrize("program", ["gateway", "worker"])
def test_passphrase__without_a_terminal__names_the_variable_to_set(
    tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_key, "has_terminal", lambda: False)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    sections = {"gateway": gateway_settings.KeySection, "worker": worker_settings.KeySection}
    keystore = tmp_path / "key.json"
    keystore.write_text("{}")

    with pytest.raises(SettingError) as refused:
        load_key(sections[program](keystore=keystore))

    assert refused.value.setting == "key.passphrase_file"
    variable = f"DVLLM_{program.upper()}__KEY__PASSPHRASE_FILE"
    assert refused.value.hint is not None and variable in refused.value.hint


@pytest.mark.parametrize("line", ["open sesame\n", "open sesame\r\nand more\n", "open sesame"])
def test_passphrase__piped_in__opens_the_keystore(
    tmp_path: Path,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    account = new_key()
    save_keystore(account, "open sesame", tmp_path / "key.json")
    monkeypatch.setattr(sys, "stdin", io.StringIO(line))

    assert load_key(worker_settings.KeySection(keystore=tmp_path / "key.json")) == account
    told = capsys.readouterr().err
    assert "read from the standard input" in told and "sesame" not in told


def test_passphrase__of_bytes_that_are_no_text__is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.json").write_text("{}")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n"), encoding="utf-8"))

    with pytest.raises(SettingError, match="standard input"):
        load_key(worker_settings.KeySection(keystore=tmp_path / "key.json"))


def test_gateway__of_a_keystore_and_no_terminal__says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("{}")
    ports = ("DVLLM_PORT", "DVLLM_WS_PORT", "UNIFIED_PORT", "ADMIN_PORT")
    free_ports = {f"DVLLM_GATEWAY__LISTEN__{port}": "0" for port in ports}
    keystore = {"DVLLM_GATEWAY__KEY__KEYSTORE": str(tmp_path / "key.json")}
    done = subprocess.run(
        [PROGRAMS / "gateway", "start", "--data-dir", tmp_path],
        env={**os.environ, **free_ports, **keystore},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,  # no terminal
        timeout=120,
        check=False,
    )

    assert done.returncode == 1
    assert "DVLLM_GATEWAY__KEY__PASSPHRASE_FILE" in done.stderr
    assert "Aborted" not in done.stderr
