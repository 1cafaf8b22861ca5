"""Where this node reads content that it does not have."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from decentralized_vllm.content.fallback import FallbackStore
from decentralized_vllm.content.gateway import GatewayStore
from decentralized_vllm.content.kubo import KuboStore
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.content.model_files import check_model_directory
from decentralized_vllm.content.reads import ContentReads
from dvllm_worker.models.cache import ModelCache
from dvllm_worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Sources:
    """`own` is served to others; `all` reads through own store and gateways, in that order."""

    own: LocalStore
    all: ContentReads
    mirror: KuboStore | None


@asynccontextmanager
async def open_sources(settings: WorkerSettings) -> AsyncIterator[Sources]:
    """Raises KeyInUse (another process holds the store), SettingError, StorageFull."""
    content = settings.content
    own = LocalStore(settings.store_dir, max_bytes=content.store_max_bytes, setting="data_dir")
    mirror = (
        KuboStore(content.mirror_api, setting="content.mirror_api") if content.mirror_api else None
    )
    async with open_gateways(settings) as gateways:
        try:
            async with own:
                yield Sources(own, FallbackStore(own, [gateways]), mirror)
        finally:
            if mirror is not None:
                await mirror.close()


@asynccontextmanager
async def open_gateways(settings: WorkerSettings) -> AsyncIterator[GatewayStore]:
    content = settings.content
    async with GatewayStore(
        content.gateways, public_only=not content.allow_private_addresses
    ) as gateways:
        yield gateways


def _mirror(settings: WorkerSettings) -> KuboStore | None:
    api = settings.content.mirror_api
    return KuboStore(api, setting="content.mirror_api") if api else None


def model_cache(settings: WorkerSettings, reads: ContentReads) -> ModelCache:
    """Models are read from gateways straight into the cache: a second copy would fill the disk."""
    return ModelCache(
        settings.models_dir,
        reads,
        check_model_directory,
        max_bytes=settings.models.max_bytes,
        max_model_bytes=settings.models.max_model_bytes,
    )
