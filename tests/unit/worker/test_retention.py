"""Which prompts and answers nobody needs any more."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.content.cid import encode_base58, parse_cid
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.housekeeping import Retention
from dvllm_worker.journal import sql_journal
from dvllm_worker.pipeline.rows import JobRow
from dvllm_worker.pipeline.stages import Stage
from tests.support.jobs import requested, row
from tests.support.journals import open_journal


class Node:
    """A real store and a real journal, at a time that the test sets."""

    def __init__(self, store: LocalStore, database: Database) -> None:
        self.store = store
        self.database = database
        self.now_s = 0.0

    async def records(self) -> sql_journal.SqlJournal:
        journal = await open_journal(self.database)
        journal._clock = lambda: self.now_s
        return journal

    async def add(self, text: str) -> Cid:
        return await self.store.add_bytes(text.encode())

    async def kept_after(self, records: sql_journal.SqlJournal, *looks_at_s: float) -> set[Cid]:
        retention = Retention(self.store, records, keep_s=50.0, clock=lambda: self.now_s)
        for self.now_s in looks_at_s:
            await retention.clean()
        return set(await self.store.pins())


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with (
        Database(tmp_path / "worker.sqlite") as database,
        LocalStore(tmp_path / "store", max_bytes=None) as store,
    ):
        yield Node(store, database)


def job(number: int, stage: Stage, prompt: Cid, answer: Cid | None = None) -> JobRow:
    request = requested(number, prompt_cid=prompt)
    return replace(row(number, stage), request=request, response_cid=answer)


async def test_old_jobs__only_what_no_younger_job_needs_goes(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    prompt, answer = await node.add("prompt"), await node.add("answer")
    records = await node.records()
    await records.put([job(1, Stage.FINAL, prompt, answer)])
    node.now_s = 60.0
    await records.put([job(2, Stage.FINAL, prompt)])
    assert await node.kept_after(records, 49.0, 50.0) == {prompt, answer}
    assert await node.kept_after(records, 70.0, 71.0) == {prompt}
    assert "1 blocks of old jobs dropped" in caplog.text
    assert await node.kept_after(records, 170.0, 171.0) == set()


async def test_old_jobs__pushed_out_of_memory__their_content_goes_all_the_same(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_journal, "CLOSED_ROWS_IN_MEMORY", 1)
    old, young = await node.add("old"), await node.add("young")
    records = await node.records()
    await records.put([job(1, Stage.FINAL, old)])
    await records.put([job(2, Stage.FINAL, young)])
    assert await node.kept_after(records, 40.0, 41.0) == {old, young}
    assert await node.kept_after(records, 100.0, 101.0) == set()


async def test_prompt_handed_over__for_a_job_that_never_was_ours__goes(node: Node) -> None:
    prompt = await node.add("prompt")
    records = await node.records()
    seen = job(1, Stage.SEEN, prompt)
    await records.put([seen])
    assert await node.kept_after(records, 1e6, 2e6) == {prompt}
    await records.forget([seen.key])
    assert await node.kept_after(records, 1.0) == {prompt}  # its job may be about to name it
    assert await node.kept_after(records, 1.0, 2.0) == set()


class NamedAgain:
    """The records, to which a new job is added as soon as they have told what is needed."""

    def __init__(self, records: sql_journal.SqlJournal, new: JobRow) -> None:
        self._records = records
        self._new = new

    async def needed_cids(self, since_s: float) -> set[Cid]:
        needed = await self._records.needed_cids(since_s)
        await self._records.put([self._new])
        return needed


async def test_old_prompt__named_by_a_new_job_while_it_is_dropped__is_kept(node: Node) -> None:
    prompt = await node.add("prompt")
    records = await node.records()
    retention = Retention(node.store, records, keep_s=50.0, clock=lambda: 1.0)
    await retention.clean()
    retention._records = NamedAgain(records, job(1, Stage.LEASED, prompt))
    await retention.clean()
    assert await node.store.pins() == [prompt]
    assert await node.store.has_block(prompt)


async def test_prompt__named_in_another_base__is_kept(node: Node) -> None:
    prompt = await node.add("prompt")
    spelled = Cid("z" + encode_base58(parse_cid(prompt).to_bytes()))
    records = await node.records()
    await records.put([job(1, Stage.LEASED, spelled), job(2, Stage.LEASED, Cid("no CID"))])
    assert await node.kept_after(records, 1.0, 2.0) == {prompt}
