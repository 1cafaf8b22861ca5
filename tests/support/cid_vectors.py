"""The recorded CIDs and the data they belong to."""

import hashlib
from pathlib import Path
from typing import Any

from tests.support.vectors import load


def load_vectors() -> dict[str, Any]:
    return load("cids")


def sample_bytes(size: int, seed: bytes = b"dvllm-cid") -> bytes:
    return hashlib.shake_256(seed).digest(size)


def write_sample(name: str, folder: Path) -> Path:
    """Writes the named input below `folder` and returns its path."""
    target = folder / name
    trees = load_vectors()["trees"]
    if name not in trees:
        target.write_bytes(sample_bytes(int(name[1:])))
    elif "files_numbered" in trees[name]:
        _write_numbered(target, trees[name])
    else:
        _write_tree(target, trees[name])
    return target


def _write_tree(target: Path, tree: dict[str, Any]) -> None:
    for name in tree["directories"]:
        (target / name).mkdir(parents=True)
    for name, size in tree["files"].items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(sample_bytes(size))


def _write_numbered(target: Path, tree: dict[str, Any]) -> None:
    target.mkdir()
    for number in range(tree["files_numbered"]):
        name = tree["name_format"].format(number)
        (target / name).write_bytes(sample_bytes(tree["bytes_each"], name.encode()))
