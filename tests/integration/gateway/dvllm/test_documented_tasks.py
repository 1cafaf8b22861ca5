"""Tasks are submitted and shown as the document writes it, with its keys and types alone."""

from dataclasses import replace

import pytest

from decentralized_vllm.protocol.ids import JobId
from dvllm_gateway.errors import Kind, NetworkUnavailable, NoCapacity
from dvllm_gateway.services.tasks import Failure, TaskState
from tests.support import documented_dvllm as documented
from tests.support.documented_dvllm import check_shape
from tests.support.dvllm_api import Api
from tests.support.gateway_in_memory.facts import MODEL, NOON_MS, OTHER, TERMS, WORKER
from tests.support.gateway_in_memory.tasks import completed, submitted, task


async def test_submit__documented_body__submitted(api: Api) -> None:
    status, body, headers = await api.call(
        "POST", "/api/tasks/submit", key=api.key, json=documented.SUBMIT
    )
    assert status == 200
    check_shape(body, documented.SUBMITTED)
    assert (body["jobId"], body["status"]) == (456, "submitted")
    assert headers["X-RateLimit-Limit"] == "100"
    request = api.memory.tasks.requests[0]
    assert request.model_id == MODEL.id
    assert request.document.parameters.max_tokens == 100
    assert request.document.parameters.temperature == 0.7


async def test_submit__estimate__first_the_lease_then_what_tasks_took(api: Api) -> None:
    body = {"prompt": "x", "modelId": MODEL.id}
    assert (await api.post("/api/tasks/submit", body, key=api.key))[1]["estimatedTime"] == 30
    api.durations.note(completed(task()))
    assert (await api.post("/api/tasks/submit", body, key=api.key))[1]["estimatedTime"] == 36


async def test_submit__model_with_a_low_limit__is_the_default(api: Api) -> None:
    terms = replace(TERMS, max_output_tokens=64)
    api.memory.models.models = (replace(MODEL, terms=terms),)
    await api.post("/api/tasks/submit", {"prompt": "x", "modelId": MODEL.id}, key=api.key)
    assert api.memory.tasks.requests[0].document.parameters.max_tokens == 64


async def test_submit__not_mined_in_time__202_without_a_number(api: Api) -> None:
    api.memory.tasks.is_mined = False
    status, body = await api.post("/api/tasks/submit", documented.SUBMIT, key=api.key)
    assert (status, body["jobId"], body["status"]) == (202, None, "submitted")


async def test_submit__refused_by_the_chain__e011(api: Api) -> None:
    api.memory.tasks.refused_by_chain = Failure(Kind.TRANSACTION_FAILED, "ModelUnknown")
    status, body = await api.post("/api/tasks/submit", documented.SUBMIT, key=api.key)
    assert (status, body["error"]["code"]) == (502, "E011")
    assert "ModelUnknown" in body["error"]["details"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NetworkUnavailable("the chain does not answer"), (502, "E001")),
        (NoCapacity("no node"), (503, "E002")),
    ],
)
async def test_submit__network_in_trouble__said_so(api: Api, error, expected) -> None:  # type: ignore[no-untyped-def]
    api.memory.tasks.fails = error
    status, body = await api.post("/api/tasks/submit", documented.SUBMIT, key=api.key)
    assert (status, body["error"]["code"]) == expected


async def test_submit__unknown_model__e003_in_the_documented_envelope(api: Api) -> None:
    body = {**documented.SUBMIT, "modelId": "invalid-model"}
    status, body = await api.post("/api/tasks/submit", body, key=api.key)
    assert status == 404
    check_shape(body, documented.ERROR)
    assert body["error"]["code"] == "E003"
    assert body["error"]["message"] == "Model not found"
    assert body["error"]["details"] == "Model 'invalid-model' is not registered"


async def test_task__completed__as_documented(api: Api) -> None:
    record = api.memory.tasks.put(completed(task()))
    status, body = await api.get(f"/api/tasks/task_{record.id}", key=api.key)
    assert status == 200
    check_shape(body, documented.TASK)
    assert body["timing"] == {
        "submitted": "2024-01-01T12:00:00.000Z",
        "started": "2024-01-01T12:00:05.000Z",
        "completed": "2024-01-01T12:00:35.200Z",
        "totalTime": 35.2,
    }
    assert body["worker"] == WORKER


async def test_task__by_any_prefix_or_none__the_same(api: Api) -> None:
    record = api.memory.tasks.put(completed(task()))
    for name in (f"task_{record.id}", record.id, f"inf_{record.id}", record.id.lower()):
        assert (await api.get(f"/api/tasks/{name}", key=api.key))[0] == 200


async def test_task__waiting__objects_there_and_scalars_null(api: Api) -> None:
    record = api.memory.tasks.put(task())
    _, body = await api.get(f"/api/tasks/task_{record.id}", key=api.key)
    assert body["status"] == "pending"
    assert body["jobId"] is None and body["response"] is None and body["worker"] is None
    assert body["timing"]["started"] is None
    assert set(body) == set(documented.TASK)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"state": TaskState.CANCELLED}, "the task was cancelled"),
        (
            {"state": TaskState.FAILED, "failure": Failure(Kind.TASK_FAILED, "expired")},
            "expired",
        ),
    ],
)
async def test_task__failed_or_cancelled__failed_with_an_error(
    api: Api,
    changes,
    error: str,  # type: ignore[no-untyped-def]
) -> None:
    record = api.memory.tasks.put(task(**changes))
    _, body = await api.get(f"/api/tasks/task_{record.id}", key=api.key)
    assert (body["status"], body["error"]) == ("failed", error)


async def test_task__number_beyond_javascript__is_text(api: Api) -> None:
    small = api.memory.tasks.put(submitted(task(), job_id=2**53 - 1))
    large = api.memory.tasks.put(replace(submitted(task()), job_id=JobId(2**256 - 1)))
    assert (await api.get(f"/api/tasks/{small.id}", key=api.key))[1]["jobId"] == 2**53 - 1
    assert (await api.get(f"/api/tasks/{large.id}", key=api.key))[1]["jobId"] == str(2**256 - 1)


@pytest.mark.parametrize("name", ["task_123", "no such", "task_01HZZZZZZZZZZZZZZZZZZZZZZZ"])
async def test_task__unknown__e008(api: Api, name: str) -> None:
    status, body = await api.get(f"/api/tasks/{name}", key=api.key)
    assert (status, body["error"]["code"]) == (404, "E008")


async def test_task__of_somebody_else__e008(api: Api) -> None:
    record = api.memory.tasks.put(completed(task(OTHER)))
    status, body = await api.get(f"/api/tasks/task_{record.id}", key=api.key)
    assert (status, body["error"]["code"]) == (404, "E008")


async def test_tasks__filters__as_the_query_says(api: Api) -> None:
    old = api.memory.tasks.put(completed(task(created_at_ms=NOON_MS - 1000)))
    new = api.memory.tasks.put(completed(task()))
    api.memory.tasks.put(task(state=TaskState.RUNNING, job_id=JobId(1)))
    cancelled = api.memory.tasks.put(task(state=TaskState.CANCELLED))
    api.memory.tasks.put(completed(task(OTHER)))

    async def listed(query: str) -> list[str]:
        status, body = await api.get(f"/api/tasks{query}", key=api.key)
        assert status == 200, body
        return [item["taskId"].removeprefix("task_") for item in body["tasks"]]

    assert await listed("?status=completed") == [new.id, old.id]
    assert await listed("?status=completed,failed&limit=2") == [cancelled.id, new.id]
    assert await listed("?status=completed&since=2024-01-01T12:00:00Z") == [new.id]
    assert await listed("?status=completed&since=2024-01-01T12:00:00") == [new.id]
    _, body = await api.get("/api/tasks?status=completed&limit=1", key=api.key)
    check_shape(body, documented.TASKS)
    assert body["total"] == 2


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "status=done",
        "status=cancelled",
        "since=yesterday",
        "page=2",
        "limit=1&limit=2",
    ],
)
async def test_tasks__bad_query__e005(api: Api, query: str) -> None:
    status, body = await api.get(f"/api/tasks?{query}", key=api.key)
    assert (status, body["error"]["code"]) == (400, "E005")


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": ""},
        {"prompt": None},
        {"prompt": 1},
        {"modelId": ""},
        {"maxTokens": 0},
        {"maxTokens": 1.5},
        {"maxTokens": "100"},
        {"maxTokens": True},
        {"temperature": -0.1},
        {"temperature": 2.1},
        {"temperature": "0.7"},
        {"max_new_tokens": 5},
        {"max_tokens": 5},
        {"maxTokens": TERMS.max_output_tokens + 1},
        {"maxTokens": 10**1000},
    ],
)
async def test_submit__bad_field__e005_names_it(api: Api, change: dict[str, object]) -> None:
    body = {**documented.SUBMIT, **change}
    status, answer = await api.post("/api/tasks/submit", body, key=api.key)
    assert (status, answer["error"]["code"]) == (400, "E005")
    name, value = next(iter(change.items()))
    assert answer["error"]["details"].startswith(f"{name}: ")
    assert not value or f" {value} " not in answer["error"]["details"]
    assert api.memory.tasks.requests == []


async def test_submit__names_of_another_spelling__are_unknown(api: Api) -> None:
    body = {"prompt": "x", "model_id": MODEL.id}
    status, answer = await api.post("/api/tasks/submit", body, key=api.key)
    assert (status, answer["error"]["code"]) == (400, "E005")
    assert answer["error"]["details"].startswith("modelId: ")


async def test_submit__same_idempotency_key__one_task(api: Api) -> None:
    first, again = [
        await api.call(
            "POST",
            "/api/tasks/submit",
            key=api.key,
            json=documented.SUBMIT,
            headers={"Idempotency-Key": "abc"},
        )
        for _ in range(2)
    ]
    assert first[1] == again[1]
    assert len(api.memory.tasks.requests) == 1
