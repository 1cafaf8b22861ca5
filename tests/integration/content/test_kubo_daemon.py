"""KuboStore against a real Kubo daemon: set DVLLM_TEST_KUBO_API to its RPC address.

No package index has a daemon to install, so nobody else runs this.
"""

import os
from pathlib import Path

import pytest

from decentralized_vllm.content.kubo import KuboStore
from decentralized_vllm.content.profiles import V0, V1, ImportProfile
from decentralized_vllm.protocol.ports import ContentLimits
from tests.support.cid_vectors import load_vectors, write_sample
from tests.support.trees import contents

API = os.environ.get("DVLLM_TEST_KUBO_API")
pytestmark = pytest.mark.skipif(API is None, reason="DVLLM_TEST_KUBO_API names no Kubo daemon")


@pytest.mark.parametrize("profile", [V0, V1])
async def test_daemon__tree__has_our_cid_and_reads_back(
    tmp_path: Path, profile: ImportProfile
) -> None:
    tree = write_sample("tree", tmp_path)
    async with KuboStore(str(API), profile) as kubo:
        cid = await kubo.add_path(tree)
        assert cid == load_vectors()["cids"]["tree"][profile.name]
        limits = ContentLimits(max_bytes=10_000_000)
        await kubo.fetch_tree(cid, tmp_path / "copy", limits=limits)
        assert cid in await kubo.pins()
        await kubo.unpin(cid)
        assert cid not in await kubo.pins()
    assert contents(tmp_path / "copy") == contents(tree)
