"""Where a prompt is read from, and whose matter it is when nobody gives it."""

import asyncio
from pathlib import Path

import pytest

from decentralized_vllm.content.http_client import TimedOut, Unanswered
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.content.sources import Absent
from decentralized_vllm.protocol.errors import (
    ContentMismatch,
    ContentUnavailable,
    DvllmError,
    StorageBusy,
)
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.content.arrivals import Arrivals
from dvllm_worker.content.prompts import PromptReader
from dvllm_worker.content.writing import TreeWriter
from dvllm_worker.outages import GATEWAYS, Outages
from dvllm_worker.pipeline.failures import OutOfReach
from tests.support.node_resources import Told, allotment_in

PROMPT = b"prompt"


class Source(ContentReads):
    """Fails in one way until it has the prompt; without a failure it never answers."""

    def __init__(self, failure: DvllmError | None = None) -> None:
        self.failure = failure

    async def get_block(self, cid: Cid) -> bytes:
        if self.failure is None:
            await asyncio.Event().wait()
        assert self.failure is not None
        raise self.failure

    async def has_block(self, cid: Cid) -> bool:
        return False


class Gateways:
    def __init__(self, *, answer: bool) -> None:
        self.answer = answer

    async def answers(self) -> bool:
        return self.answer


class Scene:
    """A node whose own store lacks the prompt, before `source`."""

    def __init__(self, folder: Path, source: ContentReads, *, answer: bool = True) -> None:
        self.own, self.arrivals = MemoryStore(), Arrivals()
        gateways = Gateways(answer=answer)
        self.outages = Outages({GATEWAYS: gateways.answers}, allotment_in(folder, Told()))
        self.reader = PromptReader(
            self.own,
            TreeWriter(self.own),
            [source],
            gateways.answers,
            self.arrivals,
            self.outages,
        )

    async def read(self, *, timeout_s: float = 0.05, longest_s: float = 0.1) -> bytes:
        cid = await MemoryStore().add_bytes(PROMPT)
        async with self.reader.searching(cid, max_bytes=100) as search:
            found = await search.found(timeout_s=timeout_s, longest_s=longest_s)
            await search.kept()
            return found


async def test_read_prompt__already_here__not_asked_elsewhere(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Source(ContentMismatch("not asked")))
    await scene.own.add_bytes(PROMPT)
    assert await scene.read() == PROMPT


@pytest.mark.parametrize("failure", [None, ContentUnavailable("refused")])
async def test_read_prompt__handed_over_while_waiting__read_at_once(
    tmp_path: Path, failure: DvllmError | None
) -> None:
    scene = Scene(tmp_path, Source(failure), answer=False)

    async def hand_over() -> None:
        await asyncio.sleep(0.05)
        scene.arrivals.tell(await scene.own.add_bytes(PROMPT))

    async with asyncio.TaskGroup() as group:
        group.create_task(hand_over())
        assert await scene.read(timeout_s=30, longest_s=60) == PROMPT


async def test_read_prompt__from_another_source__found_and_kept(tmp_path: Path) -> None:
    remote = MemoryStore()
    await remote.add_bytes(PROMPT)
    scene = Scene(tmp_path, remote)
    assert await scene.read(timeout_s=30, longest_s=30) == PROMPT
    assert await scene.own.has_block(await MemoryStore().add_bytes(PROMPT))


async def test_read_prompt__given_up_before_its_answer__nothing_is_kept(tmp_path: Path) -> None:
    remote = MemoryStore()
    cid = await remote.add_bytes(PROMPT)
    scene = Scene(tmp_path, remote)
    async with scene.reader.searching(cid, max_bytes=100) as search:
        await search.found(timeout_s=30, longest_s=30)
    assert not await scene.own.has_block(cid)


async def test_read_prompt__part_of_it_was_here_and_is_dropped_meanwhile__kept_whole(
    tmp_path: Path,
) -> None:
    remote = MemoryStore()
    prompt = bytes(range(256)) * 5000  # of several blocks
    cid = await remote.add_bytes(prompt)
    blocks = [block async for block in remote.blocks_below(cid)]
    scene = Scene(tmp_path, remote)
    await scene.own.put_block(blocks[0][0].text(), blocks[0][1])
    async with scene.reader.searching(cid, max_bytes=len(prompt)) as search:
        await search.found(timeout_s=30, longest_s=30)
        assert len(blocks) > 1 and await scene.own.collect_garbage()
        await search.kept()
    assert await scene.own.read_bytes(cid, max_bytes=len(prompt)) == prompt


@pytest.mark.parametrize("answer", [True, False])
async def test_read_prompt__a_source_answers_that_it_lacks_it__missing(
    tmp_path: Path, answer: bool
) -> None:
    """Also where the gateways went away since."""
    scene = Scene(tmp_path, Source(Absent("404")), answer=answer)
    with pytest.raises(ContentUnavailable, match="nobody had"):
        await scene.read()
    assert scene.outages.why_paused is None


NO_WORD = [
    ContentUnavailable("refused"),
    ContentMismatch("lies"),
    StorageBusy("too many open files"),
    TimedOut("it began to send, and did not get to the end"),
    None,
]


@pytest.mark.parametrize("failure", NO_WORD)
async def test_read_prompt__no_word_of_any_source__is_this_nodes_matter(
    tmp_path: Path, failure: DvllmError | None
) -> None:
    scene = Scene(tmp_path, Source(failure), answer=False)
    with pytest.raises(OutOfReach, match=r"content\.gateways"):
        await scene.read()
    assert scene.outages.why_paused == "content.gateways: none of them answers"


@pytest.mark.parametrize("failure", NO_WORD)
async def test_read_prompt__gateways_work_again_at_the_end__no_pause_but_no_word_either(
    tmp_path: Path, failure: DvllmError | None
) -> None:
    scene = Scene(tmp_path, Source(failure), answer=True)
    with pytest.raises(OutOfReach):
        await scene.read()
    assert scene.outages.why_paused is None


@pytest.mark.parametrize(("answer", "error"), [(True, ContentUnavailable), (False, OutOfReach)])
async def test_read_prompt__look_up_timed_out__missing_only_if_the_gateway_works(
    tmp_path: Path, answer: bool, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await Scene(tmp_path, Source(Unanswered("no answer")), answer=answer).read()
