"""What a node's events mean: only what has sense, whoever sends it."""

from typing import Any

import pytest

from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.requester.server_events import ServerEvent
from dvllm_gateway.market.relay import MAX_TOKENS_AT_ONCE, word_of
from dvllm_gateway.services.task_market import (
    AnswerBegins,
    AnswerGoesOn,
    AnswerPublished,
    NodeWord,
)

CID = Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")


@pytest.mark.parametrize(
    ("name", "fields", "word"),
    [
        ("stage", {"stage": "generating"}, AnswerBegins()),
        ("text", {"text": "a", "n_tokens": 1}, AnswerGoesOn("a", 1)),
        ("text", {"text": "a", "n_tokens": 1 << 40}, AnswerGoesOn("a", MAX_TOKENS_AT_ONCE)),
        ("text", {"text": "a", "n_tokens": -1}, AnswerGoesOn("a", 0)),
        ("stage", {"stage": "published", "response_cid": CID}, AnswerPublished(CID)),
        (
            "stage",
            {"stage": "generated", "response_cid": CID, "response": "{}"},
            AnswerPublished(CID, b"{}"),
        ),
        (
            "stage",
            {"stage": "generated", "response_cid": CID, "response": "\ud800"},
            AnswerPublished(CID, b"?"),
        ),
    ],
)
def test_word_of__known(name: str, fields: dict[str, Any], word: NodeWord) -> None:
    assert word_of(ServerEvent(name, fields)) == word


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("stage", {"stage": "leased"}),
        ("stage", {"stage": "generated", "response_cid": CID}),
        ("stage", {"stage": "generated", "response_cid": CID, "response": 7}),
        ("stage", {"stage": "generated", "response": "{}"}),
        ("stage", {"stage": "published", "response_cid": 7}),
        ("stage", {}),
        ("text", {"text": 7, "n_tokens": 1}),
        ("text", {"text": "a"}),
        ("end", {"stage": "final"}),
        ("other", {"text": "a", "n_tokens": 1}),
    ],
)
def test_word_of__no_sense__none(name: str, fields: dict[str, Any]) -> None:
    assert word_of(ServerEvent(name, fields)) is None
