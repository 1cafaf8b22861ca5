"""A model whose publisher is gone, from a node that serves it, to another real one."""

from pathlib import Path

from decentralized_vllm.content.gateway import GatewayStore
from tests.support.trees import contents
from tests.support.worker_network import FIRST_WORKER, SECOND_WORKER, WorkerNetwork


async def test_publisher_is_gone__second_worker_fetches_the_model_from_the_first(
    net: WorkerNetwork,
) -> None:
    with net.worker(FIRST_WORKER) as first, net.worker(SECOND_WORKER) as second:
        await net.enlist(first)
        first.start()
        await first.on_duty()
        await net.server.stop()
        await net.enlist(second)
        second.start()
        await second.on_duty()
        assert "1 of 1 peers offer tiny" in second.log_text()
        assert contents(models_of(second.folder)[0]) == contents(models_of(first.folder)[0])
        async with GatewayStore([second.url], public_only=False) as reads:
            assert await reads.has_block(net.model.model_cid)  # and so it goes on


async def test_first_worker_serves_nobody__second_finds_no_peer(net: WorkerNetwork) -> None:
    with (
        net.worker(FIRST_WORKER, models={"serve_to_peers": False}) as first,
        net.worker(SECOND_WORKER) as second,
    ):
        await net.enlist(first)
        first.start()
        await first.on_duty()
        await net.server.stop()
        await net.enlist(second)
        second.start()
        await second.logged("tiny is not served yet")
        assert "0 of 1 peers offer tiny" in second.log_text()


async def test_serve_model__publisher_is_gone__fetched_from_a_peer(net: WorkerNetwork) -> None:
    with net.worker(FIRST_WORKER) as first, net.worker(SECOND_WORKER) as second:
        await net.enlist(first)
        first.start()
        await first.on_duty()
        await net.server.stop()
        await net.enlist(second)
        done = second.run("serve-model", "tiny")
        assert done.returncode == 0, done.stderr
        assert contents(models_of(second.folder)[0]) == contents(models_of(first.folder)[0])


def models_of(folder: Path) -> list[Path]:
    found = (folder / "data" / "models").iterdir()
    return [path for path in found if path.is_dir() and path.name != "fetched"]
