"""Requests are taken as the document writes them; replies have its keys and types, no others."""

import pytest

from tests.support import documented_dvllm as documented
from tests.support.documented_dvllm import check_shape
from tests.support.dvllm_api import Api

LIMIT_HEADERS = {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}


async def test_status__without_a_key__as_documented(api: Api) -> None:
    status, body, headers = await api.call("GET", "/api/status")
    assert status == 200
    check_shape(body, documented.STATUS)
    assert headers.keys() >= LIMIT_HEADERS
    assert headers["X-RateLimit-Limit"] == "10000"


async def test_peers__one_never_seen__last_seen_is_null(api: Api) -> None:
    status, body = await api.get("/api/peers")
    assert status == 200
    check_shape({"peers": body["peers"][:1]}, documented.PEERS)
    assert body["peers"][1]["lastSeen"] is None
    assert body["peers"][1]["connected"] is False


async def test_resources__read_and_changed__the_same_shape(api: Api) -> None:
    status, body = await api.get("/api/resources", key=api.key)
    assert status == 200
    check_shape(body, documented.RESOURCES)
    status, body = await api.post(
        "/api/resources", documented.CHANGE_RESOURCES, key=api.operator_key
    )
    assert status == 200
    check_shape(body, documented.RESOURCES)
    assert body["allocation"] == documented.CHANGE_RESOURCES


async def test_resources__one_alone__the_others_stay(api: Api) -> None:
    _, body = await api.post("/api/resources", {"gpu": 1}, key=api.operator_key)
    assert body["allocation"] == {"cpu": 10, "memory": 15, "gpu": 1, "storage": 5}


async def test_resources__above_the_limits__e002(api: Api) -> None:
    status, body, headers = await api.call(
        "POST", "/api/resources", key=api.operator_key, json={"cpu": 91}
    )
    assert (status, body["error"]["code"]) == (503, "E002")
    assert int(headers["Retry-After"]) > 0


async def test_resources__by_no_operator__e007(api: Api) -> None:
    status, body = await api.post("/api/resources", documented.CHANGE_RESOURCES, key=api.key)
    assert (status, body["error"]["code"]) == (403, "E007")


async def test_models__without_a_key__as_documented(api: Api) -> None:
    status, body, headers = await api.call("GET", "/api/models")
    assert status == 200
    check_shape(body, documented.MODELS)
    assert headers["X-RateLimit-Limit"] == "1000"
    assert body["models"][0]["timestamp"] == "2024-01-01T12:00:00.000Z"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/tasks/submit"),
        ("GET", "/api/tasks"),
        ("GET", "/api/tasks/task_123"),
        ("GET", "/api/resources"),
        ("POST", "/api/resources"),
        ("POST", "/api/models/upload"),
        ("GET", "/api/auth/keys"),
        ("GET", "/api/credit"),
    ],
)
async def test_private_path__without_or_with_a_bad_key__e006(
    api: Api, method: str, path: str
) -> None:
    for key in (None, "dvk_nobodys"):
        status, body, headers = await api.call(
            method, path, key=key, json=documented.SUBMIT if method == "POST" else None
        )
        assert (status, body["error"]["code"]) == (401, "E006")
        assert "Bearer" in headers["WWW-Authenticate"]


async def test_nothing_there__in_the_documented_envelope(api: Api) -> None:
    for method, path, expected in (
        ("GET", "/api/nothing", (404, "E008")),
        ("DELETE", "/api/status", (405, "E005")),
    ):
        status, body, headers = await api.call(method, path)
        assert (status, body["error"]["code"]) == expected
        check_shape(body, documented.ERROR)
    assert headers["Allow"] == "GET,HEAD" or set(headers["Allow"].split(", ")) == {"GET", "HEAD"}
