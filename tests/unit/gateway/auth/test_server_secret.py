"""The secret of the hashes: made once, private, and never silently another one."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.server_secret import server_secret


def test_server_secret__first_start__makes_a_private_file_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "server_secret"
    secret = server_secret(path)
    assert len(secret) == 32
    assert server_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_server_secret__several_processes_at_first_start__agree(tmp_path: Path) -> None:
    path = tmp_path / "server_secret"
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(server_secret, [path] * 32))
    assert len(secrets) == 1


def test_server_secret__readable_by_others__refused(tmp_path: Path) -> None:
    path = tmp_path / "server_secret"
    server_secret(path)
    path.chmod(0o640)
    with pytest.raises(SettingError, match="chmod 600"):
        server_secret(path)


@pytest.mark.parametrize("content", [b"", b"00" * 31, b"not hex", b"\xff" * 64])
def test_server_secret__file_of_something_else__refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "server_secret"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SettingError, match=r"auth\.secret_file"):
        server_secret(path)


def test_server_secret__operators_own__may_be_longer(tmp_path: Path) -> None:
    path = tmp_path / "server_secret"
    path.write_text("ab" * 64)
    path.chmod(0o600)
    assert server_secret(path) == bytes.fromhex("ab" * 64)


def test_server_secret__folder_in_its_place__refused(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o700)
    with pytest.raises(SettingError, match=r"auth\.secret_file"):
        server_secret(tmp_path)
