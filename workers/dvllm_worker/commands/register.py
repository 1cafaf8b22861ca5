"""`worker register`: the node's profile in the registry."""

import os

import click
import psutil

from decentralized_vllm.chain.verification import checked_address
from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.ids import ZERO_ADDRESS
from dvllm_worker.commands._orders import done
from dvllm_worker.commands._shared import node_command
from dvllm_worker.office.orders import RegisterOrder
from dvllm_worker.profile_texts import check_endpoint, check_region
from dvllm_worker.settings import WorkerSettings

PERCENT_PER_CORE = 100


def _say(result: Result) -> str:
    verb = "registered" if result["was_new"] else "updated"
    where = result["endpoint"] or "no endpoint"
    return f"{result['node']} is {verb}: {result['slots']} slots, {where}"


@click.option("--endpoint", metavar="URL", help="Public URL of this node's listener.")
@click.option("--slots", type=click.IntRange(0, 65_535), help="Jobs at once; 0 pauses the node.")
@click.option("--region", help='Free text, such as "eu-central".')
@click.option("--payout", metavar="ADDRESS", help="Who is paid; fixed at the first registration.")
@node_command(
    name="register",
    say=_say,
    help_text="""Tell the network who this node is, or change what it was told.

    Endpoint and region stay where neither flag nor setting names them. A worker that runs is asked
    to do it: its slots stay as it offers them, and it has to know a new endpoint by its own
    settings, since requests are signed for it.

    \b
    Examples:
      worker register --endpoint https://node.example:8090
      worker register --slots 32
    """,
)
async def command(
    settings: WorkerSettings,
    endpoint: str | None,
    slots: int | None,
    region: str | None,
    payout: str | None,
) -> Result:
    _check_texts(endpoint, region)
    node = settings.node
    paid = payout or node.payout
    order = RegisterOrder(
        max_ram_mib=_ram_mib() if node.max_ram_mib is None else node.max_ram_mib,
        max_vram_mib=node.max_vram_mib,
        max_cpu_percent=_cpu_percent() if node.max_cpu_percent is None else node.max_cpu_percent,
        endpoint=node.endpoint if endpoint is None else endpoint,
        region=(node.region or None) if region is None else region,
        payout=checked_address("node.payout", paid) if paid else ZERO_ADDRESS,
        slots=slots,
    )
    return await done(order, settings)


def _check_texts(endpoint: str | None, region: str | None) -> None:
    """Raises SettingError."""
    for flag, check, text in (
        ("--endpoint", check_endpoint, endpoint),
        ("--region", check_region, region),
    ):
        try:
            check(text or "")
        except ValueError as error:
            raise SettingError(flag, str(error)) from None


def _ram_mib() -> int:
    return int(psutil.virtual_memory().total >> 20)


def _cpu_percent() -> int:
    return PERCENT_PER_CORE * (os.cpu_count() or 1)
