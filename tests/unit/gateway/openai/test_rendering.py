from decentralized_vllm.protocol.ids import Cid, JobId, TxHash
from dvllm_gateway.dialects.openai.rendering import task_headers
from tests.unit.gateway.openai.scripted_tasks import make_record

# Of one line, as aiohttp's client takes it, LiteLLM's among others; of all, as nginx does at most.
LINE_BYTES, ALL_BYTES = 8190, 8192


def answered(n_tasks):
    return [
        make_record(
            job_id=JobId(10**9 + index),
            request_tx=TxHash("0x" + "a" * 64),
            prompt_cid=Cid("b" * 59),
            response_cid=Cid("c" * 59),
            receipt="0x" + "d" * 130,
        )
        for index in range(n_tasks)
    ]


def test_headers__of_eight_choices__prove_each():
    headers = task_headers(answered(8))
    assert {value.count(",") for value in headers.values()} == {7}
    assert "X-Dvllm-Receipt" in headers


def test_headers__of_as_many_choices_as_there_may_be__fit_into_what_clients_and_proxies_read():
    tasks = answered(64)
    headers = task_headers(tasks)
    assert headers["X-Dvllm-Task-Id"].split(", ") == [f"task_{task.id}" for task in tasks]
    assert max(map(len, headers.values())) < LINE_BYTES
    assert sum(len(name) + len(value) + 4 for name, value in headers.items()) < ALL_BYTES
