"""Where this node reads content that it does not have, and what it offers to others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import SystemRandom

from decentralized_vllm.content.disk import disk_errors
from decentralized_vllm.content.file_blocks import FileBlocks
from decentralized_vllm.content.gateway import GatewayStore
from decentralized_vllm.content.kubo import KuboStore
from decentralized_vllm.content.model_files import check_model_directory, check_model_listing
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.content.sources import OrderedReads
from decentralized_vllm.protocol.errors import SettingError
from dvllm_worker.content.own_store import OwnStore
from dvllm_worker.content.writing import TreeWriter
from dvllm_worker.models.cache import ModelCache
from dvllm_worker.models.origins import ModelOrigins
from dvllm_worker.models.peers import ModelPeers
from dvllm_worker.onchain import Desk
from dvllm_worker.outages import GATEWAYS, MIRROR, Probe
from dvllm_worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Sources:
    """`offered` is what others get."""

    own: OwnStore
    writer: TreeWriter
    gateways: GatewayStore
    models: FileBlocks
    offered: ContentReads
    mirror: KuboStore | None


@asynccontextmanager
async def open_sources(settings: WorkerSettings) -> AsyncIterator[Sources]:
    """Raises KeyInUse (another process holds the store), SettingError, StorageFull."""
    content = settings.content
    own = OwnStore(settings.store_dir, max_bytes=content.store_max_bytes, setting="data_dir")
    mirror = _mirror(settings)
    async with open_gateways(settings) as gateways:
        try:
            async with own, open_models(settings) as models:
                offered = OrderedReads([own, models] if settings.models.serve_to_peers else [own])
                async with _writer_into(own) as writer:
                    yield Sources(own, writer, gateways, models, offered, mirror)
        finally:
            if mirror is not None:
                await mirror.close()


@asynccontextmanager
async def _writer_into(own: OwnStore) -> AsyncIterator[TreeWriter]:
    writer = TreeWriter(own)
    try:
        yield writer
    finally:
        await writer.close()


def probes_of(sources: Sources) -> dict[str, Probe]:
    """Of the stores there are: what tells whether one answers, by its setting."""
    probes: dict[str, Probe] = {}
    if sources.gateways.sources:
        probes[GATEWAYS] = sources.gateways.answers
    if sources.mirror is not None:
        probes[MIRROR] = sources.mirror.answers
    return probes


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


@asynccontextmanager
async def open_models(settings: WorkerSettings) -> AsyncIterator[FileBlocks]:
    """What was fetched before. Raises SettingError, StorageFull."""
    folder = settings.models_dir
    with disk_errors("data_dir", folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:  # a link to a disk that is not there, too
            raise SettingError("data_dir", f"{folder} is not a folder") from error
    async with FileBlocks(folder) as models:
        yield models


@asynccontextmanager
async def open_model_cache(
    settings: WorkerSettings, desk: Desk, models: FileBlocks, *here: ContentReads
) -> AsyncIterator[ModelCache]:
    """Reads `here` first, then `models`, which learns of what is fetched; then from afar.

    Models are read straight into the cache: a second copy would fill the disk.
    """
    async with open_gateways(settings) as gateways:
        peers = _peers(settings, desk) if settings.models.from_peers else None
        yield ModelCache(
            settings.models_dir,
            ModelOrigins([*here, models], gateways, peers).open,
            models,
            check_model_directory,
            check_model_listing,
            max_bytes=settings.models.max_bytes,
            max_model_bytes=settings.models.max_model_bytes,
        )


def _peers(settings: WorkerSettings, desk: Desk) -> ModelPeers:
    return ModelPeers(
        desk.network.coordinator,
        desk.network.node_registry,
        me=desk.address,
        public_only=not settings.content.allow_private_addresses,
        random=SystemRandom(),
    )
