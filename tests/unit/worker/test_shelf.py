"""How an answer becomes readable by others, and whose matter it is when it does not."""

from dataclasses import replace
from pathlib import Path

import pytest

from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.protocol.errors import ContentUnavailable, SettingError
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.content import shelf as shelf_module
from dvllm_worker.content.shelf import LocalShelf, Mirror
from dvllm_worker.content.writing import TreeWriter
from dvllm_worker.outages import MIRROR, Outages
from dvllm_worker.pipeline.failures import NotPublished
from dvllm_worker.pipeline.publish import Publish
from dvllm_worker.pipeline.results import AdmittedJob, Generation
from tests.support.jobs import RESPONSE_CID, requested, row, state, terms
from tests.support.node_resources import Told, allotment_in


class FlakyMirror:
    """Fails as told first, then keeps what it is given; a wrong one files it as `files_as`."""

    def __init__(self, *failures: Exception, files_as: Cid | None = None) -> None:
        self.failures = list(failures)
        self.kept: list[bytes] = []
        self._files_as = files_as

    async def add_bytes(self, data: bytes) -> Cid:
        if self.failures:
            raise self.failures.pop(0)
        self.kept.append(data)
        return self._files_as or await MemoryStore().add_bytes(data)


@pytest.fixture
def outages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outages:
    monkeypatch.setattr(shelf_module, "RETRY_S", 0.0)

    async def answers() -> bool:
        return False

    return Outages({MIRROR: answers}, allotment_in(tmp_path, Told()))


async def publish(outages: Outages, *mirrors: Mirror, has_prompt: bool = True) -> None:
    own = MemoryStore()
    prompt_cid = await (own if has_prompt else MemoryStore()).add_bytes(b"a prompt")
    shelf = LocalShelf(own, TreeWriter(own), mirrors, outages)
    answer = shelf.shelve(b"an answer")
    held = replace(row(), request=replace(requested(), prompt_cid=prompt_cid))
    job = AdmittedJob(held, state(), terms(), deadline_s=200)
    await Publish(shelf)(Generation(job, answer, Usage(1, 1)))


async def test_shelve__answer_of_many_blocks__has_the_cid_any_store_gives_it() -> None:
    own, long = MemoryStore(), b"x" * (3 * MemoryStore().profile.chunk_bytes + 1)
    shelf = LocalShelf(own, TreeWriter(own), (), outages=None)  # type: ignore[arg-type]
    answer = shelf.shelve(long)
    assert await answer.in_store == answer.cid == await MemoryStore().add_bytes(long)
    assert await own.read_bytes(answer.cid, max_bytes=len(long)) == long


async def test_again__what_the_journal_lacks__is_in_the_store(outages: Outages) -> None:
    own = MemoryStore()
    publish, cid = Publish(LocalShelf(own, TreeWriter(own), (), outages)), RESPONSE_CID
    with pytest.raises(NotPublished, match="not here"):
        await publish.again(cid, None)
    cid = await own.add_bytes(b"an answer")
    assert (await publish.again(cid, None)).document == b"an answer"


async def test_publish__own_copy_of_the_prompt_is_gone__this_nodes_matter(
    outages: Outages,
) -> None:
    with pytest.raises(NotPublished, match="not here"):
        await publish(outages, has_prompt=False)


async def test_publish__mirror_files_it_as_something_else__this_nodes_matter(
    outages: Outages,
) -> None:
    with pytest.raises(NotPublished, match="mirror"):
        await publish(outages, FlakyMirror(files_as=RESPONSE_CID))


async def test_publish__mirror_is_restarted__tried_again_without_a_pause(
    outages: Outages,
) -> None:
    mirror = FlakyMirror(ContentUnavailable("refused"), SettingError(MIRROR, "answers 404"))
    await publish(outages, mirror)
    assert mirror.kept == [b"an answer"]
    assert outages.why_paused is None


async def test_publish__mirror_stays_away__the_node_rests(
    outages: Outages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf_module, "OUT_AFTER_S", 0.0)
    await publish(outages, FlakyMirror(ContentUnavailable("refused")))
    assert outages.why_paused == "content.mirror_api: it does not answer"
