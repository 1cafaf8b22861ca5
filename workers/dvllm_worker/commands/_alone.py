"""The node's standing as a command changes it by itself, where no worker runs."""

from decentralized_vllm.protocol.models import ModelVersion
from decentralized_vllm.protocol.nodes import NodeProfile, RegisteredNode
from dvllm_worker.duty import NotReady, served
from dvllm_worker.models.engine_room import LoggedProgress
from dvllm_worker.office.enlistment import Enlistment, ProfileWish
from dvllm_worker.office.treasury import Told
from dvllm_worker.onchain import Desk
from dvllm_worker.settings import WorkerSettings
from dvllm_worker.slots import declared_slots
from dvllm_worker.sources import open_model_cache, open_models


class CommandEnlistment(Enlistment):
    def __init__(self, desk: Desk, settings: WorkerSettings) -> None:
        super().__init__(desk)
        self._settings = settings

    def _profile(self, wish: ProfileWish, known: RegisteredNode) -> NodeProfile:
        slots = declared_slots(self._settings) if wish.slots is None else wish.slots
        return wish.over(known.profile, slots=slots)

    async def _joined(self, version: ModelVersion) -> Told:
        """Fetches the model first, and checks every byte."""
        settings = self._settings
        self._duty.check_lease(version, settings.chain.reserve_s)
        async with (
            open_models(settings) as models,
            open_model_cache(settings, self._desk, models) as cache,
        ):
            progress = LoggedProgress(version.model_id)
            path = await cache.ensure(served(version), progress=progress)
        await self._join(version)
        return {"path": str(path), "is_running": False}

    async def _join(self, version: ModelVersion) -> None:
        """A list takes only nodes on duty; until the worker runs, this one takes no jobs again."""
        if (await self._desk.node()).slots == 0:
            await self._duty.set_slots(declared_slots(self._settings))
        await self._duty.join(version.number)
        if self._settings.node.pause_when_stopped:
            await self._duty.set_slots(0)

    async def _check_leases(self) -> None:
        n_in_flight = (await self._desk.node()).n_in_flight
        if n_in_flight:
            raise NotReady(
                f"jobs in flight: {n_in_flight}; once deregistered, the node can not start again",
                hint="run `worker start`, then `worker deregister`: it answers them then",
            )
