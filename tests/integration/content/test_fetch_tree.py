"""Trees fetched to disk: resumed, limited, never half visible."""

from pathlib import Path

import pytest

from decentralized_vllm.content.gateway import GatewayStore
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.content.profiles import V0, V1, ImportProfile
from decentralized_vllm.content.server.listeners import ContentServer
from decentralized_vllm.protocol.errors import (
    ContentTooLarge,
    ContentUnavailable,
    SettingError,
)
from decentralized_vllm.protocol.ports import ContentLimits
from tests.support.cid_vectors import sample_bytes, write_sample
from tests.support.trees import contents

LIMITS = ContentLimits(max_bytes=10_000_000)


@pytest.mark.parametrize("profile", [V0, V1])
async def test_fetch_tree__broken_off__resumes_without_fetching_again(
    far: LocalStore, far_server: ContentServer, tmp_path: Path, profile: ImportProfile
) -> None:
    data = sample_bytes(5_000_000)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(data)
    cid = await far.add_path(tmp_path / "model", profile=profile)

    class Counting(GatewayStore):
        fetched = 0
        fail_after = 10

        async def get_block(self, cid):  # type: ignore[no-untyped-def]
            if self.fetched == self.fail_after:
                raise ContentUnavailable("the line is cut")
            self.fetched += 1
            return await super().get_block(cid)

    target = tmp_path / "copy"
    async with Counting([far_server.gateway_url], public_only=False) as gateway:
        with pytest.raises(ContentUnavailable, match="cut"):
            await gateway.fetch_tree(cid, target, limits=LIMITS, parallel_blocks=1)
        assert not target.exists()
        gateway.fail_after = 100
        seen: list[int] = []
        await gateway.fetch_tree(
            cid, target, limits=LIMITS, progress=lambda done, _: seen.append(done)
        )
        # 20 leaves and 2 inner nodes; the inner nodes of the first try are fetched again.
        assert gateway.fetched == 22 + 2
    assert (target / "weights").read_bytes() == data
    assert seen[-1] == len(data)
    assert not any(name.startswith(".") for name in contents(tmp_path))


async def test_fetch_tree__target_exists__is_left_alone(far: LocalStore, tmp_path: Path) -> None:
    cid = await far.add_bytes(b"new")
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(SettingError, match="exists already"):
        await far.fetch_tree(cid, tmp_path / "file", limits=LIMITS)
    assert (tmp_path / "file").read_bytes() == b"old"


async def test_fetch_tree__over_the_limit__leaves_no_target(
    gateway: GatewayStore, far: LocalStore, tmp_path: Path
) -> None:
    cid = await far.add_path(write_sample("tree", tmp_path))
    for limits in (
        ContentLimits(max_bytes=1_300_022),
        ContentLimits(max_bytes=10_000_000, max_files=7),
        ContentLimits(max_bytes=10_000_000, max_depth=2),
        ContentLimits(max_bytes=10_000_000, max_blocks=5),
    ):
        with pytest.raises(ContentTooLarge):
            await gateway.fetch_tree(cid, tmp_path / "copy", limits=limits)
        assert not (tmp_path / "copy").exists()
