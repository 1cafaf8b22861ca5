"""What only the operator may change over HTTP."""

import errno
import os
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount

from decentralized_vllm.protocol.request_auth import HttpRequest, body_digest, signed_headers
from tests.support.node_listener import OPERATOR, STRANGER, Door
from tests.support.node_resources import LIMITS, Told, allotment_in


async def post_signed(
    door: Door,
    path: str,
    body: bytes,
    account: LocalAccount = OPERATOR,
    *,
    nonce: str,
    ago_s: int = 0,
) -> tuple[int, dict[str, object]]:
    request = HttpRequest(door.authority, "POST", path, body_digest(body))
    headers = signed_headers(
        request, account, timestamp_s=int(time.time()) - ago_s + 1, nonce=nonce
    )
    async with door.session.post(f"{door.url}{path}", data=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def post_resources(
    door: Door,
    body: bytes,
    account: LocalAccount = OPERATOR,
    *,
    nonce: str,
    ago_s: int = 0,
) -> tuple[int, dict[str, object]]:
    return await post_signed(door, "/resources", body, account, nonce=nonce, ago_s=ago_s)


async def test_resources__read_by_anyone__measured_here(door: Door) -> None:
    async with door.session.get(f"{door.url}/resources") as answer:
        body = await answer.json()
    assert body["limits"] == body["allocation"] == asdict(LIMITS)
    assert 0 < body["usage"]["memory"] < body["machine"]["memory"] < 100
    assert body["usage"]["gpu"] == 0


async def test_resources__changed_by_the_operator__in_force_and_kept(
    door: Door, tmp_path: Path
) -> None:
    status, body = await post_resources(door, b'{"cpu":50,"storage":10}', nonce="a" * 16)
    assert status == 200
    assert body["allocation"] == {**asdict(LIMITS), "cpu": 50, "storage": 10}
    assert allotment_in(tmp_path, Told()).slots == 4


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"memory":81}', 422),
        (b'{"gpu":1}', 422),
        (b'{"cpu":"50"}', 400),
        (b'{"cpu":101}', 400),
        (b'{"cores":1}', 400),
        (b"[", 400),
        (b" " * 5000, 413),
    ],
)
async def test_resources__a_bad_wish__refused_and_nothing_changed(
    door: Door, body: bytes, expected: int
) -> None:
    status, _ = await post_resources(door, body, nonce="b" * 16)
    assert status == expected
    async with door.session.get(f"{door.url}/resources") as answer:
        assert (await answer.json())["allocation"] == asdict(LIMITS)


async def test_resources__disk_is_full__said_and_nothing_changed(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        status, body = await post_resources(door, b'{"cpu":50}', nonce="f" * 16)
    assert (status, "no space left" in str(body["error"])) == (507, True)
    async with door.session.get(f"{door.url}/resources") as answer:
        assert (await answer.json())["allocation"] == asdict(LIMITS)


async def test_resources__of_a_stranger_or_unsigned__refused(door: Door) -> None:
    status, _ = await post_resources(door, b'{"cpu":1}', STRANGER, nonce="c" * 16)
    assert status == 403
    async with door.session.post(f"{door.url}/resources", data=b'{"cpu":1}') as answer:
        assert answer.status == 401


async def test_resources__a_replay__refused_also_after_a_restart(door: Door) -> None:
    assert (await post_resources(door, b'{"cpu":50}', nonce="d" * 16))[0] == 200
    assert (await post_resources(door, b'{"cpu":50}', nonce="d" * 16))[0] == 401
    assert (await post_resources(door, b'{"cpu":50}', nonce="e" * 16, ago_s=60))[0] == 401


# ---------------------------------------------------------------- resume


async def test_resume__by_the_operator__done_and_told(door: Door) -> None:
    assert await post_signed(door, "/resume", b"", nonce="f" * 16) == (200, {"resumed": True})
    told = await post_signed(door, "/resume", b"", nonce="g" * 16)
    assert told == (503, {"error": "out for lunch"})


async def test_resume__of_a_stranger_unsigned_or_replayed__refused(door: Door) -> None:
    assert (await post_signed(door, "/resume", b"", STRANGER, nonce="h" * 16))[0] == 403
    async with door.session.post(f"{door.url}/resume") as answer:
        assert answer.status == 401
    assert door.asked == []
    assert (await post_signed(door, "/resume", b"", nonce="i" * 16))[0] == 200
    assert (await post_signed(door, "/resume", b"", nonce="i" * 16))[0] == 401
    assert door.asked == ["resume"]


# ---------------------------------------------------------------- orders


async def test_orders__by_the_operator__done_and_told(door: Door) -> None:
    told = await post_signed(door, "/stake", b'{"amount_wei":"5"}', nonce="j" * 16)
    assert told == (200, {"node": "me"})
    told = await post_signed(door, "/withdraw", b'{"of_stake":true}', nonce="k" * 16)
    assert told == (200, {"node": "me"})
    assert door.asked == [
        "StakeOrder(amount_wei=5)",
        "WithdrawOrder(amount_wei=None, of_stake=True)",
    ]
    told = await post_signed(door, "/unstake", b'{"amount_wei":1}', nonce="l" * 16)
    refused = {"error": "too little", "kind": "InsufficientFunds", "hint": "stake more"}
    assert told == (422, refused)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"amount_wei":-1}', b'{"amount_wei":1,"to":"0x"}'])
async def test_orders__that_are_none__refused(door: Door, body: bytes) -> None:
    status, told = await post_signed(door, "/stake", body, nonce="m" * 16)
    assert status == 400 and told["error"]
    assert door.asked == []


@pytest.mark.parametrize("path", ["/stake", "/unstake", "/withdraw"])
async def test_orders__of_a_stranger_unsigned_or_replayed__refused(door: Door, path: str) -> None:
    body = b'{"amount_wei":1}'
    assert (await post_signed(door, path, body, STRANGER, nonce="n" * 16))[0] == 403
    async with door.session.post(f"{door.url}{path}", data=body) as answer:
        assert answer.status == 401
    assert door.asked == []
    await post_signed(door, path, body, nonce="o" * 16)
    assert (await post_signed(door, path, body, nonce="o" * 16))[0] == 401
    assert len(door.asked) == 1
