"""What a network leaves on disk, made usable again whatever ended the last one.

The chain's state is saved by anvil every few seconds and at its end. A network that was killed may
come back a few blocks earlier than its workers remember; their journals are then set aside, and
the workers learn from the chain again what they owe.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic_core import from_json

from dvllm_devnet.errors import AlreadyRunning, UnusableState
from dvllm_devnet.layout import Layout

JOURNAL_PATTERN = "worker.sqlite*"
OUTBOX_PATTERN = "outbox.sqlite*"  # of the gateway, whose accounts and tasks stay
WORKER_CONTENT = frozenset({"store", "models"})
ASIDE = "set-aside"


@contextlib.contextmanager
def hold(layout: Layout) -> Iterator[None]:
    """Keeps other networks out of the folder. Raises AlreadyRunning."""
    layout.home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(layout.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise AlreadyRunning(
            "--home", f"a network already runs in {layout.home}", hint="end it first"
        ) from None
    try:
        yield
    finally:
        lock.release()


def wipe(layout: Layout, *, keep_content: bool = False) -> None:
    """Forgets everything but the lock, which is held.

    Content may stay: what a CID names does not depend on the chain, and models are big.
    """
    for entry in layout.home.iterdir():
        if entry == layout.lock or (keep_content and entry == layout.store):
            continue
        if keep_content and entry in layout.worker_folders:
            _remove_all_but(entry, WORKER_CONTENT)
        else:
            _remove(entry)


def _remove_all_but(folder: Path, kept: frozenset[str]) -> None:
    for entry in folder.iterdir():
        if entry.name not in kept:
            _remove(entry)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def begin(layout: Layout) -> list[str]:
    """Checks and mends what the last network left, and marks this one as running.

    Returns one sentence for each mend. Raises UnusableState when only a fresh start helps.
    """
    mends: list[str] = []
    was_killed = layout.running_mark.exists()
    if not layout.chain_state.exists() and not layout.good_chain_state.exists():
        forget_chain(layout)
    elif not _is_whole(layout.chain_state):
        _restore_last_good(layout)
        was_killed = True
        mends.append("the chain's saved state was damaged: went back to the last good one")
    if was_killed and _set_aside_journals(layout):
        mends.append("the last network was killed: its workers read the chain again")
    # Outboxes of the clients that set networks up: what they sent was waited for, or is void.
    shutil.rmtree(layout.clients, ignore_errors=True)
    _keep_good_copy(layout)
    layout.running_mark.write_text(f"{os.getpid()}\n")
    return mends


def end(layout: Layout) -> None:
    """After every process has ended in good order."""
    _keep_good_copy(layout)
    layout.running_mark.unlink(missing_ok=True)


def forget_chain(layout: Layout) -> None:
    """Drops what only means something on a chain that is gone. Content stays: it is addressed."""
    layout.deployment.unlink(missing_ok=True)
    layout.born_with.unlink(missing_ok=True)
    for journal in _journals(layout):
        journal.unlink()
    shutil.rmtree(layout.gateway, ignore_errors=True)


def _restore_last_good(layout: Layout) -> None:
    if not _is_whole(layout.good_chain_state):
        raise UnusableState(
            "--fresh", f"the chain's state in {layout.chain_state} is damaged", hint="use FRESH=1"
        )
    shutil.copyfile(layout.good_chain_state, layout.chain_state)


def _keep_good_copy(layout: Layout) -> None:
    if not _is_whole(layout.chain_state):
        return
    draft = layout.good_chain_state.with_suffix(".tmp")
    shutil.copyfile(layout.chain_state, draft)
    draft.replace(layout.good_chain_state)


def _is_whole(state: Path) -> bool:
    """Anvil overwrites its file in place: one that was cut off is no JSON."""
    try:
        from_json(state.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _set_aside_journals(layout: Layout) -> bool:
    """Moves journals away, replacing those of an earlier accident. Says whether there were any."""
    moved = False
    for journal in _journals(layout):
        aside = journal.parent / ASIDE
        aside.mkdir(exist_ok=True)
        journal.replace(aside / journal.name)
        moved = True
    return moved


def _journals(layout: Layout) -> list[Path]:
    of_workers = [file for home in layout.worker_folders for file in home.glob(JOURNAL_PATTERN)]
    return of_workers + list(layout.gateway.glob(OUTBOX_PATTERN))
