"""Disk errors as the library's errors, and making written files durable."""

import ctypes
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from decentralized_vllm.protocol.errors import SettingError, StorageBusy, StorageFull

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE)
# Above this many files one flush of the file system is cheaper than one flush for each.
_SYNC_SINGLY = 16


@contextmanager
def disk_errors(setting: str, folder: Path) -> Iterator[None]:
    """Raises StorageFull, SettingError (no write access), StorageBusy (no file handles left)."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(f"no space left for {folder}", hint="free some space") from error
        if error.errno in _REFUSED:
            raise SettingError(setting, f"{folder} cannot be written: {error.strerror}") from error
        if error.errno in _EXHAUSTED:
            raise StorageBusy("too many open files", hint="raise the limit: ulimit -n") from error
        raise


def sync_files(paths: Sequence[Path], folder: Path) -> None:
    """Returns when the files, all below `folder`, survive a power cut."""
    if len(paths) > _SYNC_SINGLY:
        _sync_file_system(folder)
        return
    for path in paths:
        _sync_path(path)
    for parent in {path.parent for path in paths}:
        sync_folder(parent)


def sync_folder(folder: Path) -> None:
    """Makes renames in the folder durable, where the system can (Windows does so by itself)."""
    if os.name == "posix":
        _sync_path(folder)


def _sync_path(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_file_system(folder: Path) -> None:
    if sys.platform != "linux":
        os.sync()
        return
    # syncfs(2) flushes one file system; os.sync would wait for every disk of the machine.
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        if libc.syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(handle)
