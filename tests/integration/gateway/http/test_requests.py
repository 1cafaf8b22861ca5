"""What every API does with a request, over a made-up one on a real port."""

import asyncio
import time
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from eth_account import Account
from yarl import URL

from decentralized_vllm.protocol.request_auth import HttpRequest, body_digest, signed_headers
from dvllm_gateway.http.options import HttpOptions
from dvllm_gateway.services.guesses import GUESSES
from dvllm_gateway.services.ports import Rate
from tests.support.auth_parts import NOW_S
from tests.support.toy_dialect import SECRET_TEXT
from tests.support.toy_server import Served, served_toy
from tests.support.waiting import wait_until


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Served]:
    async with served_toy(tmp_path) as served:
        yield served


async def test_request__a_good_one__is_answered_with_its_id_and_limits(toy: Served) -> None:
    status, body, headers = await toy.ask(
        "POST",
        "/toys/sums",
        json={"numbers": [1, 2]},
        headers={**toy.own, "X-Request-Id": "my-id.1"},
    )

    assert (status, body) == (200, {"total": 3, "nameOfField": 0})
    assert headers["X-Request-Id"] == "my-id.1"
    assert headers["X-Toy"] == "yes"
    assert headers["Content-Type"] == "application/json"
    assert headers["X-RateLimit-Remaining"].isdecimal()
    assert headers["X-RateLimit-Limit"].isdecimal()
    assert headers["X-RateLimit-Reset"].isdecimal()


async def test_request_id__that_a_log_can_not_bear__is_replaced(toy: Served) -> None:
    _, _, headers = await toy.ask("GET", "/toys/things/a", headers={"X-Request-Id": "a b" * 99})

    assert headers["X-Request-Id"].isalnum()


async def test_path__with_slashes_and_signs__comes_to_the_handler_as_it_was(toy: Served) -> None:
    _, body, _ = await toy.ask("GET", "/toys/things/org/name%20v1?limit=5")

    assert body == {"name": "org/name v1", "limit": 5}


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=many", "limit=1&limit=2"])
async def test_query__out_of_its_bounds__is_refused_naming_it(toy: Served, query: str) -> None:
    status, body, _ = await toy.ask("GET", f"/toys/things/a?{query}")

    assert (status, body["oops"]) == (400, "invalid_request")
    assert "limit" in body["said"]


async def test_reply__without_a_body__has_none(toy: Served) -> None:
    status, body, _ = await toy.ask("DELETE", "/toys/things")

    assert (status, body) == (204, None)


async def test_head__of_what_can_be_got__answers_without_a_body(toy: Served) -> None:
    status, body, headers = await toy.ask("HEAD", "/toys/things/a")

    assert (status, body) == (200, None)
    assert int(headers["Content-Length"]) > 0


# ---------------------------------------------------------------- who asks
async def test_scope__without_credentials__is_401(toy: Served) -> None:
    status, body, headers = await toy.ask("POST", "/toys/sums", json={"numbers": []})

    assert (status, body["oops"]) == (401, "unauthenticated")
    assert headers["WWW-Authenticate"] == "Bearer"


async def test_credentials__that_are_wrong__are_401_also_on_public_paths(toy: Served) -> None:
    status, body, _ = await toy.ask(
        "GET", "/toys/things/a", headers={"Authorization": "Bearer dvk_x"}
    )

    assert (status, body["oops"]) == (401, "unauthenticated")


async def test_wallet__that_signed_this_very_request__is_let_in(tmp_path: Path) -> None:
    account = Account.from_key("0x" + "22" * 32)
    raw = b'{"numbers":[4]}'
    async with served_toy(tmp_path) as toy:
        signed = HttpRequest("localhost:8001", "POST", "/toys/sums?x=%20", body_digest(raw))
        headers = {
            **signed_headers(signed, account, timestamp_s=int(NOW_S), nonce="n" * 16),
            "Host": "localhost:8001",
            "Content-Type": "application/json",
        }
        url = URL(toy.url + "/toys/sums?x=%20", encoded=True)
        async with toy.session.post(url, data=raw, headers=headers) as response:
            assert (response.status, await response.json()) == (
                200,
                {"total": 4, "nameOfField": 0},
            )
        async with toy.session.post(url, data=raw, headers=headers) as response:
            assert response.status == 401  # its nonce is spent


# ---------------------------------------------------------------- limits
async def test_limit__when_it_is_used_up__is_429_and_tells_when(tmp_path: Path) -> None:
    async with served_toy(tmp_path, rates={"status": Rate(2, 60)}) as toy:
        for _ in range(2):
            assert (await toy.ask("GET", "/toys/things/a"))[0] == 200
        status, body, headers = await toy.ask("GET", "/toys/things/a")

        assert (status, body["oops"]) == (429, "rate_limited")
        assert 0 < int(headers["Retry-After"]) <= 120
        assert headers["X-RateLimit-Limit"] == "2"
        assert headers["X-RateLimit-Remaining"] == "0"


async def test_limit__flood_of_wrong_keys__is_429_without_a_look_at_them(tmp_path: Path) -> None:
    async with served_toy(tmp_path) as toy:
        wrong = {"Authorization": "Bearer dvk_abcdefgh_" + "B" * 43}
        for _ in range(GUESSES.n_calls):
            assert (await toy.ask("GET", "/toys/things/a", headers=wrong))[0] == 401
        n_reads = toy.auth.key_store.n_reads
        status, body, headers = await toy.ask("GET", "/toys/things/a", headers=wrong)

        assert (status, body["oops"]) == (429, "rate_limited")
        assert int(headers["Retry-After"]) > 0
        assert toy.auth.key_store.n_reads == n_reads


async def test_limit__of_an_account__is_not_its_neighbour_s(tmp_path: Path) -> None:
    async with served_toy(tmp_path, rates={"status": Rate(1, 60)}) as toy:
        assert (await toy.ask("GET", "/toys/things/a"))[0] == 200
        assert (await toy.ask("GET", "/toys/things/a"))[0] == 429
        assert (await toy.ask("GET", "/toys/things/a", headers=toy.own))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/nothing", {}),
        ("PUT", "/toys/sums", {}),
        ("GET", "/toys/things/a", {"Authorization": "Bearer wrong"}),
    ],
)
async def test_limit__of_calls_that_lead_nowhere__counts_their_address(
    tmp_path: Path, method: str, path: str, headers: dict[str, str]
) -> None:
    async with served_toy(tmp_path, rates={"status": Rate(2, 60)}) as toy:
        statuses = [(await toy.ask(method, path, headers=headers))[0] for _ in range(3)]

        assert statuses[2] == 429
        assert 429 not in statuses[:2]


async def test_address__behind_a_trusted_proxy__is_the_one_it_names(tmp_path: Path) -> None:
    options = HttpOptions(trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with served_toy(tmp_path, rates={"status": Rate(1, 60)}, options=options) as toy:
        for host in ("198.51.100.1", "198.51.100.2"):
            status, _, _ = await toy.ask("GET", "/toys/things/a", headers={"X-Forwarded-For": host})
            assert status == 200


async def test_address__claimed_by_a_stranger__counts_for_nothing(tmp_path: Path) -> None:
    async with served_toy(tmp_path, rates={"status": Rate(1, 60)}) as toy:
        statuses = [
            (await toy.ask("GET", "/toys/things/a", headers={"X-Forwarded-For": host}))[0]
            for host in ("198.51.100.1", "198.51.100.2")
        ]

        assert statuses == [200, 429]


# ---------------------------------------------------------------- errors
async def test_defect__in_a_handler__shows_the_request_id_and_nothing_else(
    toy: Served, caplog: pytest.LogCaptureFixture
) -> None:
    status, body, headers = await toy.ask("GET", "/toys/broken")

    assert (status, body["oops"]) == (500, "internal")
    assert body["request"] == headers["X-Request-Id"]
    assert SECRET_TEXT not in str(body)
    assert SECRET_TEXT in caplog.text  # for the operator


async def test_no_capacity__says_when_to_come_again(toy: Served) -> None:
    status, _, headers = await toy.ask(
        "POST", "/toys/refused", json={"numbers": []}, headers=toy.own
    )

    assert (status, headers["Retry-After"]) == (503, "7")
    assert "x-should-retry" not in headers


async def test_error__after_a_task_was_made__tells_clients_not_to_retry(toy: Served) -> None:
    status, _, headers = await toy.ask("POST", "/toys/lost", json={"numbers": []}, headers=toy.own)

    assert (status, headers["x-should-retry"]) == (502, "false")


async def test_caller__who_hangs_up__cancels_the_handler(toy: Served) -> None:
    asking = asyncio.create_task(
        toy.ask("POST", "/toys/later", json={"numbers": []}, headers=toy.own)
    )
    await wait_until(lambda: toy.toy.n_sums > 0, what="the handler")
    asking.cancel()

    async with asyncio.timeout(5):
        await toy.toy.was_closed.wait()


# ---------------------------------------------------------------- figures
async def test_figures__of_a_request__are_counted_by_operation_and_status(toy: Served) -> None:
    await toy.ask("GET", "/toys/things/a")
    await toy.ask("GET", "/toys/nothing-here")

    registry = toy.options.metrics.registry

    def n_requests(operation: str, status: str) -> float | None:
        labels = {"dialect": "toy", "operation": operation, "status": status}
        return registry.get_sample_value("dvllm_gateway_requests_total", labels)

    assert n_requests("getThing", "200") == 1
    assert n_requests("unknown", "404") == 1
    asked = {"dialect": "toy", "operation": "getThing"}
    assert registry.get_sample_value("dvllm_gateway_own_seconds_count", asked) == 1


async def test_own_time__of_a_body_that_comes_slowly__is_without_the_wait(toy: Served) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"numbers":'
        await asyncio.sleep(0.5)
        yield b"[1]}"

    began_s = time.monotonic()
    headers = {**toy.own, "Content-Type": "application/json"}
    status, _, _ = await toy.ask("POST", "/toys/sums", data=slowly(), headers=headers)
    took_s = time.monotonic() - began_s

    asked = {"dialect": "toy", "operation": "add"}
    registry = toy.options.metrics.registry
    own_s = registry.get_sample_value("dvllm_gateway_own_seconds_sum", asked)
    assert status == 200
    assert own_s is not None and own_s < took_s - 0.4


async def test_log__of_a_request__has_a_line_without_body_or_key(
    toy: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await toy.ask(
        "POST", "/toys/sums", json={"numbers": [771_177]}, headers={**toy.own, "X-Request-Id": "r1"}
    )

    (line,) = [record for record in caplog.records if record.name == "dvllm_gateway.requests"]
    assert (line.request_id, line.operation, line.status) == ("r1", "add", 200)  # type: ignore[attr-defined]
    assert "771177" not in caplog.text
    assert toy.key not in caplog.text
