"""Builds a model directory once, whole or not at all, also when several processes want it."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from decentralized_vllm.protocol.errors import DvllmError, StorageFull

# Told in one line what is going on.
Progress = Callable[[str], None]

# What a model directory on the network may hold (docs: content limits of models).
ACCEPTED_NAMES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "model.safetensors",
)
N_ERROR_LINES = 15


class ModelBuildFailed(DvllmError):
    """A model could not be downloaded or converted; the message ends with the tool's last lines."""


def no_progress(line: str) -> None:
    """For callers that do not care."""


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """`target`, made by `build(empty directory)` unless it is there; the same path.

    The directory appears by one rename, so an interrupted build leaves nothing that looks done;
    what it left aside is removed by the next one. Raises what `build` raises.
    """
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not target.is_dir():
            _build(target, build)
    return target


def _build(target: Path, build: Callable[[Path], None]) -> None:
    prefix = f".{target.name}.unfinished-"
    for leftover in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover)
    work = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        build(work)
        keep_accepted(work)
        work.chmod(0o755)
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def keep_accepted(directory: Path) -> None:
    """Removes what the network would not accept in a model directory."""
    for entry in directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name not in ACCEPTED_NAMES:
            entry.unlink()


def need_space(directory: Path, n_bytes: int) -> None:
    """Raises StorageFull, before anything is written, if the disk has not that much left."""
    free = shutil.disk_usage(directory).free
    if free < n_bytes:
        raise StorageFull(
            f"{directory} has {free >> 20} MiB free, the model's build needs {n_bytes >> 20} MiB"
        )


def run_python(arguments: Sequence[str], *, doing: str) -> None:
    """Runs this interpreter in a process of its own, so that its memory comes back at the end."""
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()[-N_ERROR_LINES:]
        raise ModelBuildFailed(f"{doing} failed:\n  " + "\n  ".join(lines))
