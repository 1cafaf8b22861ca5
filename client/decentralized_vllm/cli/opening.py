"""From a command's options to an open client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from decentralized_vllm.aio import AsyncClient
from decentralized_vllm.cli.sources import client_settings, read_settings
from decentralized_vllm.settings import ClientSettings


def settings_of(options: dict[str, Any], *, needs_key: bool = True) -> ClientSettings:
    """Raises SettingError."""
    return client_settings(read_settings(**options), needs_key=needs_key)


@asynccontextmanager
async def opened(options: dict[str, Any], *, needs_key: bool = True) -> AsyncIterator[AsyncClient]:
    async with AsyncClient.of(settings_of(options, needs_key=needs_key)) as client:
        yield client
