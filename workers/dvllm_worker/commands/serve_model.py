"""`worker serve-model`: fetch a model's bytes, check them, and join its version's list."""

import click

from decentralized_vllm.content.file_blocks import FileBlocks
from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.ids import ModelId, VersionNumber
from dvllm_worker.commands._shared import node_command
from dvllm_worker.duty import Duty, NotReady, served
from dvllm_worker.models.engine_room import LoggedProgress
from dvllm_worker.onchain import open_desk
from dvllm_worker.settings import WorkerSettings
from dvllm_worker.slots import declared_slots
from dvllm_worker.sources import open_model_cache


def _say(result: Result) -> str:
    if not result["is_served"]:
        return f"{result['node']} no longer serves {result['model_id']}"
    return (
        f"{result['node']} serves {result['model_id']} (version {result['version']}), "
        f"bytes in {result['path']}\n  -> run `worker start` now"
    )


@click.argument("model_id")
@click.option("--leave", is_flag=True, help="Stop serving it instead.")
@node_command(
    name="serve-model",
    say=_say,
    help_text="""Fetch MODEL_ID, check every byte, and join the list that leases are drawn from.

    A broken call goes on where it stopped. Call it again after staking more.

    \b
    Examples:
      worker serve-model smollm2-135m
      worker serve-model smollm2-135m --leave
    """,
)
async def command(settings: WorkerSettings, model_id: str, leave: bool) -> Result:
    async with open_desk(settings) as desk:
        duty = Duty(desk)
        if leave:
            return await _leave(duty, ModelId(model_id))
        await duty.check_ready()
        version = await duty.current_version(ModelId(model_id))
        async with (
            FileBlocks(settings.models_dir) as models,
            open_model_cache(settings, desk, models) as cache,
        ):
            path = await cache.ensure(served(version), progress=LoggedProgress(model_id))
        await _join(duty, settings, version.number)
        return {
            "node": desk.address,
            "is_served": True,
            "model_id": model_id,
            "model_cid": version.model_cid,
            "version": version.number,
            "path": str(path),
        }


async def _join(duty: Duty, settings: WorkerSettings, version: VersionNumber) -> None:
    """A list takes only nodes on duty; until the worker runs, this one takes no jobs again."""
    if (await duty.desk.node()).slots == 0:
        await duty.set_slots(declared_slots(settings))
    await duty.join(version)
    if settings.node.pause_when_stopped:
        await duty.set_slots(0)


async def _leave(duty: Duty, model_id: ModelId) -> Result:
    joined = [model for model in await duty.served_models() if model.model_id == model_id]
    if not joined:
        raise NotReady(f"this node does not serve {model_id}")
    for model in joined:
        await duty.leave(model.version)
    return {"node": duty.desk.address, "is_served": False, "model_id": model_id}
