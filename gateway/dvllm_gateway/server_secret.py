"""The secret that keys the hashes of API keys: a file of the gateway's own, made at first use."""

import os
import secrets
import tempfile
from pathlib import Path

from decentralized_vllm.protocol.errors import SettingError

SECRET_BYTES = 32


def server_secret(path: Path) -> bytes:
    """Gateways that share a database share this file. Raises SettingError.

    Losing it makes every API key invalid; who reads it and the database can test guesses of keys.
    """
    try:
        if not path.exists():
            _make(path)
        _check_private(path)
        return _parse(path.read_text(encoding="ascii"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError("auth.secret_file", f"{path}: {error}") from error


def _make(path: Path) -> None:
    """Appears whole or not at all: another process may start at the same time, and then wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # 0600 from its first moment
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(SECRET_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        os.unlink(draft)


def _check_private(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        raise SettingError(
            "auth.secret_file", f"{path} can be read by others", hint=f"chmod 600 {path}"
        )


def _parse(text: str, path: Path) -> bytes:
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) < SECRET_BYTES:
        raise SettingError("auth.secret_file", f"{path} must hold {2 * SECRET_BYTES} hex digits")
    return secret
