"""Documents that are asked for twice in a row are read once; memory is bounded whoever writes."""

from dataclasses import replace

import pytest
from eth_account import Account

from decentralized_vllm.content.cid import RAW, hash_block
from decentralized_vllm.protocol.errors import ContentUnavailable, InvalidResponse
from decentralized_vllm.protocol.generation import TokenLogprob
from decentralized_vllm.protocol.ids import Cid, JobId
from decentralized_vllm.protocol.responses import ResponseDocument, parse_response
from dvllm_gateway.market.documents import Documents
from tests.support import vectors

CASE = vectors.load("documents")["responses"][0]
PLAIN = parse_response(CASE["canonical"].encode())
RATED = replace(
    PLAIN, logprobs=(TokenLogprob("a", -0.5),) * len(PLAIN.token_ids), signature=b""
).sign(Account.from_key(CASE["private_key"]))
ONE, TWO = Cid("bafkone"), Cid("bafktwo")


class Node:
    """One that has every answer, until it is gone."""

    def __init__(self, **answers: ResponseDocument) -> None:
        self.answers = {Cid(cid): document.to_bytes() for cid, document in answers.items()}
        self.n_reads = 0

    async def store_of(self, node):
        return self

    async def read_bytes(self, cid, *, max_bytes):
        self.n_reads += 1
        if cid not in self.answers:
            raise ContentUnavailable("gone")
        return self.answers[cid]


def documents(node, **bounds):
    return Documents(node, Node(), **bounds)


async def read(book, cid):
    return await book.read(cid, PLAIN.request, PLAIN.node)


async def test_again__rated_answer__needs_no_second_read():
    node = Node(bafkone=RATED)
    book = documents(node)
    assert await read(book, ONE) == RATED
    node.answers.clear()
    assert await book.again(ONE, PLAIN.node) == RATED
    assert node.n_reads == 1


async def test_again__plain_or_forgotten_answer__is_read_again():
    node = Node(bafkone=PLAIN)
    book = documents(node)
    await read(book, ONE)
    assert await book.again(ONE, PLAIN.node) == PLAIN
    assert node.n_reads == 2


async def test_again__nobody_has_it__unavailable():
    with pytest.raises(ContentUnavailable):
        await documents(Node()).again(ONE, PLAIN.node)


async def test_read__many_rated_answers__the_oldest_go():
    node = Node(bafkone=RATED, bafktwo=RATED)
    book = documents(node, max_kept_bytes=10_000)
    for cid in (ONE, ONE, TWO):
        await read(book, cid)
    node.answers.clear()
    assert await book.again(TWO, PLAIN.node) == RATED
    with pytest.raises(ContentUnavailable):
        await book.again(ONE, PLAIN.node)


async def test_read__another_jobs_answer__is_refused_and_not_kept():
    node = Node(bafkone=RATED)
    book = documents(node)
    with pytest.raises(InvalidResponse):
        await book.read(ONE, replace(PLAIN.request, model_id="another"), PLAIN.node)
    node.answers.clear()
    with pytest.raises(ContentUnavailable):
        await book.again(ONE, PLAIN.node)


def cid_of(data: bytes) -> Cid:
    return Cid(hash_block(data, version=1, codec=RAW).text())


async def test_read__told_by_its_node__nobody_is_asked():
    node, told = Node(), PLAIN.to_bytes()
    found = await documents(node).read(cid_of(told), PLAIN.request, PLAIN.node, told=told)
    assert found == PLAIN
    assert node.n_reads == 0


async def test_read__told_something_else__the_named_one_is_read():
    node = Node(bafkone=PLAIN)
    assert await documents(node).read(ONE, PLAIN.request, PLAIN.node, told=b"{}") == PLAIN
    assert node.n_reads == 1


async def test_read__told_what_is_no_answer_to_this__refused():
    told = PLAIN.to_bytes()
    with pytest.raises(InvalidResponse):
        await documents(Node()).read(
            cid_of(told), replace(PLAIN.request, job_id=JobId(99)), PLAIN.node, told=told
        )
