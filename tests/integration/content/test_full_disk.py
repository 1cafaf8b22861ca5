"""A store whose disk has no room left, by the limit of the system for the size of files."""

import resource
import subprocess
from pathlib import Path

import pytest

from tests.support.content_process import COMMAND


def limited_to(n_bytes: int, *arguments: object) -> "subprocess.CompletedProcess[str]":
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))

    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input="a prompt",
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=limit,
        check=False,
    )


@pytest.mark.parametrize("n_bytes", [8 << 10, 16 << 10, 24 << 10])
def test_any_command__no_room_for_the_pins__says_that_the_disk_is_full(
    tmp_path: Path, n_bytes: int
) -> None:
    store = ("--store", tmp_path / "store")
    added = limited_to(1 << 20, "add", "-", *store)
    assert added.returncode == 0
    pins = limited_to(n_bytes, "pin", *store)
    assert pins.returncode == 1
    assert "no space left" in pins.stderr
    assert "move the file away" not in pins.stderr  # its pins are unharmed
    assert limited_to(1 << 20, "pin", *store).stdout.strip() in added.stdout
