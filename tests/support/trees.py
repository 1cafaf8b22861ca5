"""Comparing folders."""

from pathlib import Path


def contents(path: Path) -> dict[str, bytes | None]:
    """Every entry below the path with its bytes; None is a directory."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {
        entry.relative_to(path).as_posix(): entry.read_bytes() if entry.is_file() else None
        for entry in path.rglob("*")
    }
