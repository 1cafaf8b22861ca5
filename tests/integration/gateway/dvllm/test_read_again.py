"""What is read again is rendered once, and is still what the core says just then."""

from dataclasses import replace

import pytest

from dvllm_gateway.dialects.dvllm.tasks import MAX_KEPT, MAX_KEPT_BYTES
from tests.support.dvllm_api import Api
from tests.support.gateway_in_memory.facts import MODEL, OTHER
from tests.support.gateway_in_memory.network import MemoryNetwork
from tests.support.gateway_in_memory.tasks import completed, submitted, task


async def test_status__read_again__follows_the_network(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = await MemoryNetwork().status()

    async def status(_: MemoryNetwork) -> object:
        return now

    monkeypatch.setattr(MemoryNetwork, "status", status)
    for n_peers in (5, 5, 4, 5):
        now = replace(now, n_peers=n_peers, uptime_s=now.uptime_s + (n_peers == 4))
        body = (await api.get("/api/status"))[1]
        assert (body["network"]["peers"], body["uptime"]) == (n_peers, now.uptime_s)


async def test_models__read_again__follow_the_registry(api: Api) -> None:
    for name in ("first", "first", "second"):
        api.memory.models.models = (replace(MODEL, name=name),)
        assert (await api.get("/api/models"))[1]["models"][0]["name"] == name
    api.memory.models.models = ()
    assert (await api.get("/api/models"))[1] == {"models": []}


async def test_task__read_again__is_as_it_is_then(api: Api) -> None:
    record = api.memory.tasks.put(submitted(task()))
    url = f"/api/tasks/task_{record.id}"
    assert [(await api.get(url, key=api.key))[1]["status"] for _ in range(2)] == ["pending"] * 2
    api.memory.tasks.put(completed(record))
    first, again = [(await api.get(url, key=api.key))[1] for _ in range(2)]
    assert first == again
    assert first["status"] == "completed"
    api.memory.tasks.put(replace(completed(record), response="other"))
    assert (await api.get(url, key=api.key))[1]["response"] == "other"


async def test_task__read_by_its_owner__is_still_not_others(api: Api) -> None:
    record = api.memory.tasks.put(completed(task()))
    url = f"/api/tasks/task_{record.id}"
    assert (await api.get(url, key=api.key))[0] == 200
    api.memory.tasks.put(replace(record, account=OTHER))
    assert (await api.get(url, key=api.key))[0] == 404


async def test_tasks__more_and_larger_ones_than_are_kept__are_each_their_own(api: Api) -> None:
    records = [
        api.memory.tasks.put(replace(completed(task()), response=f"answer {number}"))
        for number in range(MAX_KEPT + 2)
    ]
    long = api.memory.tasks.put(replace(completed(task()), response="x" * MAX_KEPT_BYTES))
    for record in (*records, long, records[0], long, records[-1]):
        body = (await api.get(f"/api/tasks/task_{record.id}", key=api.key))[1]
        assert body["response"] == record.response
