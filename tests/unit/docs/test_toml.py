"""Settings files that the pages show have only fields that exist."""

import tomllib
from collections.abc import Mapping

import pytest
from pydantic import BaseModel

from dvllm_gateway.settings import GatewaySettings
from dvllm_worker.settings import WorkerSettings
from tests.unit.docs.pages import ROOT, blocks, text_of

SETTINGS: dict[str, type[BaseModel]] = {
    "gateway.md": GatewaySettings,
    "first-node.md": WorkerSettings,
    "operating-a-node.md": WorkerSettings,
}
SHOWN = [
    pytest.param(SETTINGS[page], block, id=f"{page}-{n}")
    for page in SETTINGS
    for n, block in enumerate(blocks(text_of(ROOT / "docs" / page), "toml"))
]


@pytest.mark.parametrize(("settings", "block"), SHOWN)
def test_settings_file__on_a_page__names_fields_that_exist(
    settings: type[BaseModel], block: str
) -> None:
    assert unknown(settings, tomllib.loads(block)) == []


def unknown(settings: type[BaseModel], values: Mapping[str, object]) -> list[str]:
    found = [name for name in values if name not in settings.model_fields]
    for name in values.keys() - set(found):
        kind, value = settings.model_fields[name].annotation, values[name]
        if isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(value, Mapping):
            found += [f"{name}.{field}" for field in unknown(kind, value)]
    return found
