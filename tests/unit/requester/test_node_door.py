"""What a stranger's endpoint may send, and what becomes of it."""

import time
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientRequest
from eth_account import Account
from yarl import URL

from decentralized_vllm.protocol.documents import MAX_RESPONSE_BYTES
from decentralized_vllm.protocol.errors import ContentUnavailable
from decentralized_vllm.protocol.request_auth import (
    HttpRequest,
    body_digest,
    read_headers,
    verify,
)
from decentralized_vllm.requester.node_door import NodeDoor, _job_url
from decentralized_vllm.requester.progress import _Counter
from decentralized_vllm.requester.server_events import ServerEvent, server_events


async def lines(*texts):
    for text in texts:
        yield text.encode() if isinstance(text, str) else text


async def heard(*texts):
    return [event async for event in server_events(lines(*texts))]


async def test_server_events__well_formed__are_named_and_parsed():
    events = await heard(
        ": comment\n",
        "event: text\r\n",
        'data: {"text":"Hi",\r\n',
        'data: "n_tokens":1}\r\n',
        "\r\n",
        'data: {"stage":"generating"}\n',
        "\n",
        "event: text\n",
        'data: {"text":"cut off"}\n',
    )
    assert events == [
        ServerEvent("text", {"text": "Hi", "n_tokens": 1}),
        ServerEvent("message", {"stage": "generating"}),
    ]


async def test_server_events__in_any_pieces__are_the_same():
    whole = 'event: text\ndata: {"text":"é"}\n\ndata: {}\n\n'.encode()
    pieces = [whole[i : i + 1] for i in range(len(whole))]
    expected = [ServerEvent("text", {"text": "é"}), ServerEvent("message", {})]
    assert await heard(*pieces) == await heard(whole) == expected


async def test_server_events__something_else_than_an_object__has_no_fields():
    assert await heard("data: [1]\n", "\n") == [ServerEvent("message", {})]


@pytest.mark.parametrize(
    "data",
    ["{", "[" * 100_000, "NaN", '"\\ud800"'],
    ids=["broken", "deep", "not a number", "half a character"],
)
async def test_server_events__hostile_json__ends_the_stream(data):
    with pytest.raises(ContentUnavailable, match="broken events"):
        await heard(f"data: {data}\n", "\n")


async def test_server_events__event_without_end__ends_the_stream():
    with pytest.raises(ContentUnavailable, match="without end"):
        await heard(*["data: " + "x" * 60_000 + "\n"] * 20)


@pytest.mark.parametrize(
    "endpoint", ["", "node.example", "ftp://node.example", "http://", "http://["]
)
def test_job_url__endpoint_that_is_none__is_refused(endpoint):
    with pytest.raises(ContentUnavailable, match="endpoint"):
        _job_url(endpoint, 7, "events")


def test_job_url__endpoint_with_a_path__keeps_it():
    url = _job_url("https://node.example/dvllm/", 7, "blocks")
    assert str(url) == "https://node.example/dvllm/jobs/7/blocks"


class Asked:
    """Keeps the request, and is a node that can not be reached."""

    @asynccontextmanager
    async def request(self, method, url, *, headers, **options):
        self.method, self.url, self.headers = method, URL(url), headers
        raise ContentUnavailable("not reached")
        yield


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://node.example:443",
        "http://node.example:80/dvllm",
        "http://Node.example:8080",
        "http://[::1]:8080",
    ],
)
async def test_events__endpoint__is_signed_under_the_name_that_is_sent(endpoint):
    account, asked = Account.create(), Asked()
    with pytest.raises(ContentUnavailable, match="not reached"):
        await anext(NodeDoor(asked, account).events(endpoint, 7))
    sent = ClientRequest(asked.method, asked.url, headers=asked.headers, loop=None)
    host = sent.headers["Host"].lower()
    request = HttpRequest(host, "GET", asked.url.raw_path_qs, body_digest(b""))
    proof = read_headers(sent.headers)
    assert verify(request, proof, now_s=time.time(), authorities={host}) == account.address


def test_counter__tokens_of_a_node__make_percentages_that_never_fall_nor_reach_the_end():
    counter = _Counter(7, max_tokens=4)
    percentages = []
    for n_tokens in (1, 2, -5, 1, 100):
        assert counter.hear(ServerEvent("text", {"text": "x", "n_tokens": n_tokens}))
        percentages.append(counter.progress().percentage)
    assert percentages == [25.0, 75.0, 75.0, 99.0, 99.0]
    assert counter.progress().text == "xxxxx"


@pytest.mark.parametrize(("text", "n_times"), [("x" * 1_000_000, 10), ("", 1000)])
def test_counter__node_tells_without_end__is_not_heard_on(text, n_times):
    counter = _Counter(7, max_tokens=4)
    event = ServerEvent("text", {"text": text, "n_tokens": 1})
    heard = [counter.hear(event) for _ in range(n_times)]
    assert not heard[-1]
    assert counter.is_full
    assert len(counter.progress().text) <= MAX_RESPONSE_BYTES


@pytest.mark.parametrize(
    "event",
    [
        ServerEvent("stage", {"text": "x", "n_tokens": 1}),
        ServerEvent("text", {"text": 1, "n_tokens": 1}),
        ServerEvent("text", {"text": "x", "n_tokens": "1"}),
        ServerEvent("text", {}),
    ],
)
def test_counter__anything_else__is_not_heard(event):
    assert not _Counter(7, max_tokens=4).hear(event)
