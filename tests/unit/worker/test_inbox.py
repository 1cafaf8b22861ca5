"""Words that one listener of a job has not been told yet."""

from decentralized_vllm.protocol.ids import JobId
from dvllm_worker.http.hub import JobHub
from dvllm_worker.http.inbox import MAX_PIECE_CHARACTERS
from dvllm_worker.pipeline.stages import Stage
from tests.support.jobs import REQUESTER, row

J1 = JobId(1)
PIECE = "x" * MAX_PIECE_CHARACTERS  # nothing is added to it


async def test_words_that_have_to_wait__one_piece_up_to_what_follows() -> None:
    hub = JobHub()
    hub.on_stage(row(1, Stage.GENERATING))
    with hub.listen(row(1)) as slow, hub.listen(row(1)) as quick:
        await anext(slow)
        hub.on_text(J1, "a", 1)
        assert [n.data["text"] for n in (await anext(quick))[1:]] == ["a"]
        hub.on_text(J1, "b", 2)
        hub.on_stage(row(1, Stage.GENERATED))
        hub.on_text(J1, "c", 1)
        told = [(n.data.get("text"), n.data.get("n_tokens")) for n in await anext(slow)]
        assert told == [("ab", 3), (None, None), ("c", 1)]
        assert [n.data.get("text") for n in await anext(quick)] == ["b", None, "c"]


async def test_words_of_two_jobs_at_once__each_in_its_own_piece() -> None:
    hub = JobHub()
    for number in (1, 2):
        hub.on_stage(row(number, Stage.GENERATING))
    with hub.listen_to_all(REQUESTER) as inbox:
        await anext(inbox)
        for word in "one ", "two":
            hub.on_text(J1, word, 1)
            hub.on_text(JobId(2), word, 1)
        told = [(n.data["job_id"], n.data["text"], n.data["n_tokens"]) for n in await anext(inbox)]
        assert told == [("1", "one two", 2), ("2", "one two", 2)]


async def test_long_words_that_have_to_wait__pieces_end_somewhere() -> None:
    hub = JobHub()
    hub.on_stage(row(1, Stage.GENERATING))
    with hub.listen(row(1)) as inbox:
        await anext(inbox)
        for _ in range(3):
            hub.on_text(J1, PIECE, 1)
        assert [n.data["text"] for n in await anext(inbox)] == [PIECE] * 3
