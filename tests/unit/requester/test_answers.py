"""Who waits while an answer is checked: for a short one everybody, for a long one nobody."""

import asyncio
from dataclasses import replace

import pytest
from eth_account import Account

from decentralized_vllm.protocol.errors import InvalidResponse
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.protocol.responses import ResponseDocument, parse_response
from decentralized_vllm.requester.answers import LONG_BYTES, checked_answer
from tests.support import vectors

CASE = vectors.load("documents")["responses"][0]
SHORT = parse_response(CASE["canonical"].encode())


def long_answer() -> ResponseDocument:
    unsigned = replace(SHORT, text="word " * (LONG_BYTES // 4), signature=b"")
    return unsigned.sign(Account.from_key(CASE["private_key"]))


async def checked(document: ResponseDocument) -> tuple[ResponseDocument, bool]:
    """The answer, and whether others had their turn meanwhile."""
    checking = asyncio.create_task(
        checked_answer(document.to_bytes(), document.request, document.node)
    )
    await asyncio.sleep(0)
    others_were_served = not checking.done()
    return await checking, others_were_served


async def test_checked_answer__short__is_there_at_once() -> None:
    assert await checked(SHORT) == (SHORT, False)


async def test_checked_answer__long__others_are_served_meanwhile() -> None:
    document = long_answer()
    assert await checked(document) == (document, True)


async def test_checked_answer__long_but_of_another_job__is_refused() -> None:
    document = long_answer()
    request = replace(document.request, job_id=JobId(99))
    with pytest.raises(InvalidResponse):
        await checked_answer(document.to_bytes(), request, document.node)
