"""Model uploads: who may, what is taken, and that nothing of a failed one stays."""

import asyncio
import io
from typing import Any

import aiohttp
import pytest

from decentralized_vllm.protocol.request_auth import form_digest
from tests.support import documented_dvllm as documented
from tests.support.documented_dvllm import check_shape
from tests.support.dvllm_api import MAX_UPLOAD_BYTES, Api
from tests.support.gateway_in_memory.facts import OWNER, RESPONSE_CID, WORKER
from tests.support.waiting import wait_until

TEXTS = {"modelId": "custom-model", "name": "My model", "description": "for tasks"}
FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 1000}


def form(texts: dict[str, str] = TEXTS, files: dict[str, bytes] = FILES) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, value in texts.items():
        data.add_field(name, value)
    for name, content in files.items():
        data.add_field("file", io.BytesIO(content), filename=name)
    return data


def headers(
    texts: dict[str, str] = TEXTS, *, wallet: str = OWNER, signature: str = "0x11"
) -> dict[str, str]:
    return {
        "Authorization": f"Signature {signature}",
        "X-Wallet-Address": wallet,
        "X-Content-Digest": form_digest(texts, RESPONSE_CID),
    }


async def upload(api: Api, data: aiohttp.FormData, sent: dict[str, str]) -> tuple[int, Any]:
    status, body, _ = await api.call("POST", "/api/models/upload", data=data, headers=sent)
    assert list(api.uploads_root.iterdir()) == []
    return status, body


async def test_upload__by_the_owner__files_arrive_and_are_registered(api: Api) -> None:
    status, body = await upload(api, form(), headers())
    assert status == 201
    check_shape(body, documented.UPLOADED)
    assert body["status"] == "registered"
    assert api.memory.models.seen == FILES
    published = api.memory.models.uploads[0]
    assert (published.model_id, published.name) == ("custom-model", "My model")
    assert (published.description, published.caller) == ("for tasks", OWNER)


async def test_upload__gateway_is_not_the_owner__a_transaction_to_sign(api: Api) -> None:
    api.memory.models.registers = False
    status, body = await upload(api, form(), headers())
    assert (status, body["status"], body["transactionHash"]) == (201, "awaiting_signature", None)
    assert body["transaction"] == {"to": OWNER, "data": "0x1234", "chainId": 31337}


async def test_upload__without_a_description__taken(api: Api) -> None:
    texts = {"modelId": "m", "name": "n"}
    assert (await upload(api, form(texts), headers(texts)))[0] == 201


async def test_upload__by_a_key_or_another_wallet__e007(api: Api) -> None:
    for sent in (
        {"Authorization": f"Bearer {api.operator_key}"},
        headers(wallet=WORKER),
    ):
        status, body = await upload(api, form(), sent)
        assert (status, body["error"]["code"]) == (403, "E007")
    assert api.memory.models.uploads == []


async def test_upload__other_than_what_was_signed__e006_and_not_published(api: Api) -> None:
    signed = headers({**TEXTS, "name": "Another"})
    status, body = await upload(api, form(), signed)
    assert (status, body["error"]["code"]) == (401, "E006")
    assert api.memory.models.uploads == []


@pytest.mark.parametrize(
    ("texts", "files"),
    [
        (TEXTS, {**FILES, "model.bin": b"x"}),
        (TEXTS, {**FILES, "weights.pkl": b"x"}),
        (TEXTS, {**FILES, "run.py": b"x"}),
        (TEXTS, {"../config.json": b"{}"}),
        (TEXTS, {"a/config.json": b"{}"}),
        (TEXTS, {"..": b"{}"}),
        ({**TEXTS, "extra": "1"}, FILES),
        ({"modelId": "m"}, FILES),
        ({**TEXTS, "modelId": ""}, FILES),
        ({**TEXTS, "name": "é" * 65}, FILES),
        ({**TEXTS, "description": "x" * 2049}, FILES),
    ],
)
async def test_upload__what_no_model_has__e005(
    api: Api, texts: dict[str, str], files: dict[str, bytes]
) -> None:
    status, body = await upload(api, form(texts, files), headers(texts))
    assert (status, body["error"]["code"]) == (400, "E005")
    assert api.memory.models.uploads == []


async def test_upload__a_field_or_file_twice__e005(api: Api) -> None:
    twice = form()
    twice.add_field("name", "again")
    assert (await upload(api, twice, headers()))[0] == 400
    twice = form()
    twice.add_field("file", b"{}", filename="config.json")
    assert (await upload(api, twice, headers()))[0] == 400


async def test_upload__too_large_announced_or_not__413(api: Api) -> None:
    large = {"config.json": bytes(MAX_UPLOAD_BYTES + 1)}
    status, body = await upload(api, form(files=large), headers())
    assert (status, body["error"]["code"]) == (413, "E005")

    async def endless() -> Any:
        yield b"--x\r\nContent-Disposition: form-data; name=file; filename=config.json\r\n\r\n"
        for _ in range(100):
            yield bytes(1 << 16)

    sent = {**headers(), "Content-Type": "multipart/form-data; boundary=x"}
    status, body, _ = await api.call("POST", "/api/models/upload", data=endless(), headers=sent)
    assert (status, body["error"]["code"]) == (413, "E005")
    assert list(api.uploads_root.iterdir()) == []


async def test_upload__json_instead_of_a_form__415(api: Api) -> None:
    status, body, _ = await api.call("POST", "/api/models/upload", json=TEXTS, headers=headers())
    assert (status, body["error"]["code"]) == (415, "E005")


async def test_upload__client_leaves_in_the_middle__nothing_stays(api: Api) -> None:
    began = asyncio.Event()

    async def half() -> Any:
        yield b"--x\r\nContent-Disposition: form-data; name=file; filename=config.json\r\n\r\n{"
        began.set()
        await asyncio.Event().wait()

    sent = {**headers(), "Content-Type": "multipart/form-data; boundary=x"}
    leaving = asyncio.create_task(api.call("POST", "/api/models/upload", data=half(), headers=sent))
    await began.wait()
    await wait_until(lambda: any(api.uploads_root.iterdir()), what="the upload's folder")
    leaving.cancel()
    await wait_until(lambda: not any(api.uploads_root.iterdir()), what="its end")
