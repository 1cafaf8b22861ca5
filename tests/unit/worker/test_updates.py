"""Which announced versions a node follows."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.events import LogPosition, VersionAnnounced
from decentralized_vllm.protocol.ids import BlockNumber, Cid, ModelId, TxHash, VersionNumber
from dvllm_worker.models.engine_room import EngineRoom
from dvllm_worker.models.served import ServedModel
from dvllm_worker.models.updates import UpdateFollower

MODEL_ID = ModelId("tiny")
HERE = LogPosition(BlockNumber(1), "0x01", TxHash("0x02"), 0)


def announced(version: int, model_id: ModelId = MODEL_ID) -> VersionAnnounced:
    return VersionAnnounced(HERE, VersionNumber(version), model_id, Cid(f"cid-{version}"), 0)


class Node:
    """Lists and engines of a node that serves one version at a time; fails as often as told."""

    def __init__(self, version: int) -> None:
        self.models = [ServedModel(VersionNumber(version), MODEL_ID, Cid(f"cid-{version}"))]
        self.joined = [version]
        self.n_failures = 0
        self.operator_leaves_at = ""
        self.has_left = False

    def is_left(self, model_id: ModelId) -> bool:
        return self.has_left

    def _operator_may_leave(self, moment: str) -> None:
        if moment == self.operator_leaves_at:
            self.models, self.joined, self.has_left = [], [], True

    def serving(self, model_id: str) -> Sequence[ServedModel]:
        return [model for model in self.models if model.model_id == model_id]

    async def prefetch(self, model: ServedModel) -> None:
        self._operator_may_leave("while it is fetched")

    def serve(self, model: ServedModel) -> None:
        if model not in self.models:
            self.models.append(model)

    async def retire(self, model: ServedModel) -> None:
        self._operator_may_leave("while the old engine ends")
        if model in self.models:
            self.models.remove(model)

    async def first_started(self) -> None: ...

    async def served_models(self) -> list[ServedModel]:
        served = [ServedModel(VersionNumber(9), ModelId("other"), Cid("other"))]
        return served + [
            ServedModel(VersionNumber(each), MODEL_ID, Cid(f"cid-{each}")) for each in self.joined
        ]

    async def join(self, version: VersionNumber) -> int:
        if self.n_failures:
            self.n_failures -= 1
            raise ChainUnavailable("no answer")
        self.joined.append(version)
        return 1

    async def leave(self, version: VersionNumber) -> None:
        """Twice is no error, as on chain."""
        self.joined = [joined for joined in self.joined if joined != version]

    def open_rows(self) -> list[Any]:
        return []

    def now_s(self) -> float:
        return 1.0

    async def sleep_s(self, duration_s: float) -> None:
        await asyncio.sleep(0)


async def served_after(node: Node, *events: VersionAnnounced) -> list[int]:
    follower = UpdateFollower(node, node, cast(Any, node), node, is_left=node.is_left)
    for event in events:
        follower.note(event)
    running = asyncio.create_task(follower.run())
    for _ in range(50):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    assert [model.version for model in node.models] == node.joined
    return list(node.joined)


@pytest.mark.parametrize("version", [1, 2])
async def test_announcement__told_again__changes_nothing(version: int) -> None:
    assert await served_after(Node(2), announced(version)) == [2]


async def test_announcement__of_a_model_not_served__ignored() -> None:
    assert await served_after(Node(2), announced(3, ModelId("other"))) == [2]


async def test_announcement__newer__followed() -> None:
    assert await served_after(Node(2), announced(3), announced(4)) == [4]


async def test_announcement__joining_fails_at_first__goes_on() -> None:
    node = Node(2)
    node.n_failures = 2
    assert await served_after(node, announced(3)) == [3]


@pytest.mark.parametrize("moment", ["while it is fetched", "while the old engine ends"])
async def test_announcement__operator_has_the_node_leave_the_model__not_joined_again(
    moment: str,
) -> None:
    node = Node(2)
    node.operator_leaves_at = moment
    assert await served_after(node, announced(3)) == []


class Shelf:
    """A cache that has every model."""

    @contextmanager
    def holding(self, cid: Cid) -> Iterator[None]:
        yield

    async def ensure(self, model: ServedModel, *, progress: object) -> Path:
        return Path(model.model_cid)


class Engine:
    """One that starts, and says no more than the log wants."""

    name = "still"

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def identity(self) -> "Engine":
        return self


async def test_announcement__of_another_price_only__older_versions_are_left_one_by_one() -> None:
    lists = Node(2)
    lists.joined = [1, 2]  # the first is left over from a node that did not know better
    async with asyncio.TaskGroup() as group:
        room = EngineRoom(group, cast(Any, Shelf()), lambda path, model: cast(Any, Engine()))
        room.serve(ServedModel(VersionNumber(2), MODEL_ID, Cid("same")))
        follower = UpdateFollower(lists, room, cast(Any, lists), lists, is_left=lists.is_left)
        running = asyncio.create_task(follower.run())
        for version in (3, 4):
            follower.note(VersionAnnounced(HERE, VersionNumber(version), MODEL_ID, Cid("same"), 0))
            for _ in range(50):
                await asyncio.sleep(0)
        assert lists.joined == [4]
        assert [model.version for model in room.serving(MODEL_ID)] == [4]
        running.cancel()
        await room.stop()
