"""The registry's models with the terms they are sold under now, read from the chain."""

import asyncio

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.errors import UnknownModel
from decentralized_vllm.protocol.ids import Address, VersionNumber
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.models import ModelInfo
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.services.network import Model

READS_AT_ONCE = 8


class RegistryModels:
    """The port ModelSource. Terms of a version never change, so each is read once."""

    def __init__(self, network: Network) -> None:
        self._registry = network.model_registry
        self._coordinator = network.coordinator
        self._terms: dict[VersionNumber, Terms] = {}
        self._gate = asyncio.Semaphore(READS_AT_ONCE)

    async def revision(self) -> tuple[int, int]:
        with as_gateway_errors():
            n_models, n_versions = await asyncio.gather(
                self._registry.model_count(), self._coordinator.version_count()
            )
        return n_models, n_versions

    async def models(self) -> tuple[Model, ...]:
        with as_gateway_errors():
            infos = await self._registry.models()
            return tuple(await asyncio.gather(*(self._model(info) for info in infos)))

    async def owner(self) -> Address:
        """Raises NetworkUnavailable."""
        with as_gateway_errors():
            return await self._registry.owner()

    async def _model(self, info: ModelInfo) -> Model:
        async with self._gate:
            terms = await self._terms_of(info)
        return Model(
            id=info.model_id,
            name=info.name,
            description=info.description,
            cid=info.model_cid,
            is_active=info.is_active,
            registered_at_s=info.registered_at_s,
            terms=terms,
        )

    async def _terms_of(self, info: ModelInfo) -> Terms | None:
        try:
            number = (await self._coordinator.current_version(info.model_id)).current
        except UnknownModel:  # its first version does not serve yet
            return None
        if number not in self._terms:
            self._terms[number] = (await self._coordinator.version(number)).terms
        return self._terms[number]
