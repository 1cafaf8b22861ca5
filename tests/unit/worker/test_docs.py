"""The page about running a node against the worker's settings and commands."""

import re
from pathlib import Path

from pydantic import BaseModel

from dvllm_worker.cli import SUBCOMMANDS
from dvllm_worker.settings import WorkerSettings

PAGE = (Path(__file__).parents[3] / "docs" / "operating-a-node.md").read_text(encoding="utf-8")
FOR_TESTS = frozenset({"fault_at", "null"})


def test_settings__are_all_on_the_page() -> None:
    told = set(re.findall(r"`(?:[a-z]+\.)?([a-z_]+)`", PAGE)) | set(
        re.findall(r"^([a-z_]+) = ", PAGE, re.M)
    )
    missing = [name for name in _names(WorkerSettings) if name.rpartition(".")[2] not in told]
    assert missing == []


def test_commands__are_on_the_page() -> None:
    for name in SUBCOMMANDS:
        assert f"worker {name}" in PAGE or f"`{name}" in PAGE, name


def _names(settings: type[BaseModel], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, field in settings.model_fields.items():
        kind = field.annotation
        if name in FOR_TESTS:
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += _names(kind, f"{name}.")
        else:
            found.append(prefix + name)
    return found
