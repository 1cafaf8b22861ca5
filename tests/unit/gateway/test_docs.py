"""The page about the gateway against the gateway."""

import re
from pathlib import Path

from pydantic import BaseModel

from dvllm_gateway.cli import SUBCOMMANDS
from dvllm_gateway.settings import GatewaySettings

PAGE = (Path(__file__).parents[3] / "docs" / "gateway.md").read_text(encoding="utf-8")
MAY_BE_FREE = frozenset({"rates"})


def test_settings__are_all_on_the_page() -> None:
    told = set(re.findall(r"`(?:[a-z0-9]+\.)?([a-z_0-9]+)`", PAGE))
    missing = [
        f"{section}.{name}"
        for section, field in GatewaySettings.model_fields.items()
        for name in _names(section, field.annotation)
        if name not in told
    ]

    assert missing == []


def test_sections__named_on_the_page__exist() -> None:
    sections = {name for name in GatewaySettings.model_fields if name not in MAY_BE_FREE}
    table = PAGE[PAGE.index("| field | what it does |") : PAGE.index("**Mounts.**")]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    for row in rows:
        first = re.findall(r"`([a-z0-9_.]+)`", row)[0].split(".")[0]
        assert first in sections | MAY_BE_FREE, row


def test_commands__are_on_the_page() -> None:
    for name in SUBCOMMANDS:
        assert f"gateway {name}" in PAGE


def _names(section: str, annotation: object) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return list(annotation.model_fields)
    return [] if section in MAY_BE_FREE else [section]
