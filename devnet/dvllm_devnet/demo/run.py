"""Runs the demonstration from an empty chain to its report."""

import contextlib

from decentralized_vllm.chain.network import connect
from dvllm_devnet.console import Console
from dvllm_devnet.demo.acts import Stage, paid_answer, refund, takeover
from dvllm_devnet.demo.observer import Observer
from dvllm_devnet.demo.report import DemoReport, make_report
from dvllm_devnet.demo.story import tell_delivery, tell_refund, tell_takeover
from dvllm_devnet.network import Network, running_network
from dvllm_devnet.network_plan import NetworkPlan

DEFAULT_PROMPT = "What is artificial intelligence?"
HOME_NAME = "demo"  # below the network's own folder: a running `make devnet` is not disturbed


async def run_demo(plan: NetworkPlan, prompt: str, console: Console) -> DemoReport:
    """Raises what starting a network raises, DemoFailed, and what the requester's calls raise."""
    async with running_network(plan, console) as network:
        return await _play(network, prompt, console)


async def _play(network: Network, prompt: str, console: Console) -> DemoReport:
    settings = network.plan.settings
    async with contextlib.AsyncExitStack() as stack:
        chain = await stack.enter_async_context(connect(network.addresses.chain_settings))
        client = await stack.enter_async_context(network.client(network.cast.requester))
        stage = Stage(
            client=client,
            observer=Observer(chain, network.cast, network.workers),
            console=console,
            model_id=settings.model.id,
            fee_bps=settings.market.fee_bps,
        )
        delivery = await paid_answer(stage, prompt, settings.demo.max_tokens)
        console.say("\n" + tell_delivery(delivery) + "\n")
        taken_over = await takeover(stage, delivery)
        console.say("\n" + tell_takeover(taken_over) + "\n")
        refunded = await refund(stage)
        console.say("\n" + tell_refund(refunded) + "\n")
    return make_report(delivery, taken_over, refunded)
