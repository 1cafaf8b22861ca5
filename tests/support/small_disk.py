"""A disk that a test can fill: a file system in memory, which is as large as it is told to be."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOMY_MIB = 2048  # nothing is taken of the memory until it is written to


@dataclass(frozen=True, slots=True)
class SmallDisk:
    path: Path

    def fill(self) -> None:
        """Leaves no room at all: whoever writes more is told that there is no space."""
        while True:
            state = os.statvfs(self.path)
            taken = (state.f_blocks - state.f_bfree) * state.f_frsize
            if mount("-o", f"remount,size={taken}", str(self.path)) is None:
                return  # refused when somebody has just written

    def make_room(self, size_mib: int = ROOMY_MIB) -> None:
        assert mount("-o", f"remount,size={size_mib}m", str(self.path)) is None


def mount(*arguments: str) -> str | None:
    """What it complains of."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr.strip()


@contextmanager
def small_disk(path: Path) -> Iterator[SmallDisk]:
    """Mounted at `path`; skips the test where mounting is not allowed."""
    path.mkdir(parents=True)
    complaint = mount("-t", "tmpfs", "-o", f"size={ROOMY_MIB}m", "tmpfs", str(path))
    if complaint is not None:
        pytest.skip(f"no disk of its own can be mounted: {complaint}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
