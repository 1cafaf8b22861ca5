"""Carries out an operator's order, or has the worker do it that runs with the same key."""

from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.errors import KeyInUse
from dvllm_worker.commands._running import ask_to_do
from dvllm_worker.onchain import load_account, open_desk_of, open_network
from dvllm_worker.orders import Order
from dvllm_worker.settings import WorkerSettings
from dvllm_worker.treasury import Treasury


async def done(order: Order, settings: WorkerSettings) -> Result:
    """The same either way. Raises as the treasury does, and NotAsked."""
    async with open_network(settings) as network:
        account = load_account(settings, network.identity.chain_id)
        try:
            async with open_desk_of(account, settings, network) as desk:
                return await order.done_by(Treasury(desk))
        except KeyInUse:
            return await ask_to_do(order, settings.http, account)
