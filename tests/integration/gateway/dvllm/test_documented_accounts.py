"""Keys, logins, credit and top-ups, with the keys and types that the documented API has."""

import pytest

from decentralized_vllm.protocol.authorizations import SignedAuthorization
from dvllm_gateway.services.top_ups import PermittedTransfer
from tests.support import documented_dvllm as documented
from tests.support.documented_dvllm import check_shape
from tests.support.dvllm_api import Api
from tests.support.gateway_in_memory.facts import ASKER, OWNER, WORKER

AUTHORIZATION = {
    "type": "ReceiveWithAuthorization",
    "from": WORKER,
    "to": OWNER,
    "value": str(2**256 - 1),
    "validAfter": 0,
    "validBefore": 2**31,
    "nonce": "0x" + "0a" * 32,
}
SIGNED = "0x" + "01" * 32 + "02" * 32 + "1b"


async def test_login__challenge_verify_list_revoke__a_key_that_works_and_ends(api: Api) -> None:
    status, body = await api.post("/api/auth/challenge", {"address": WORKER.lower()})
    assert status == 200
    check_shape(body, documented.CHALLENGE)
    status, made = await api.post(
        "/api/auth/verify",
        {"message": body["message"], "signature": "0x" + "11" * 65, "scopes": ["read", "wallet"]},
    )
    assert status == 200
    check_shape(made, documented.VERIFIED)
    key = made["apiKey"]
    status, keys = await api.get("/api/auth/keys", key=key)
    assert status == 200
    check_shape(keys, documented.KEYS)
    assert keys["keys"][0]["scopes"] == ["read", "wallet"]
    status, _, _ = await api.call("DELETE", f"/api/auth/keys/{made['keyId']}", key=key)
    assert status == 204
    assert (await api.get("/api/auth/keys", key=key))[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        {"message": "x", "signature": "0x" + "11" * 65, "scopes": ["root"]},
        {"message": "x", "signature": "no hex"},
        {"message": "", "signature": "0x" + "11" * 65},
    ],
)
async def test_verify__malformed__e005(api: Api, body: dict[str, object]) -> None:
    status, answer = await api.post("/api/auth/verify", body)
    assert (status, answer["error"]["code"]) == (400, "E005")


async def test_challenge__no_address__e005(api: Api) -> None:
    for address in ("0x12", "me", 5):
        status, answer = await api.post("/api/auth/challenge", {"address": address})
        assert (status, answer["error"]["code"]) == (400, "E005")


async def test_revoke__a_key_of_somebody_else__e008(api: Api) -> None:
    mine = next(iter(await api.memory.keys.list(ASKER)))
    status, body, _ = await api.call("DELETE", f"/api/auth/keys/{mine.id}", key=api.other_key)
    assert (status, body["error"]["code"]) == (404, "E008")


async def test_credit__exact_text(api: Api) -> None:
    status, body = await api.get("/api/credit", key=api.key)
    assert status == 200
    check_shape(body, documented.CREDIT)
    assert body["available"] == "145.5"
    assert body["availableWei"] == "145500000000000000000"
    assert body["payee"] == OWNER


async def test_top_up__authorization__handed_on_whole(api: Api) -> None:
    body = {"authorization": AUTHORIZATION, "signature": SIGNED}
    status, answer = await api.post("/api/credit/top-ups", body, key=api.key)
    assert status == 201
    check_shape(answer, documented.TOPPED_UP)
    assert (answer["amount"], answer["status"]) == ("1.5", "credited")
    signed = api.memory.top_ups.payments[0]
    assert isinstance(signed, SignedAuthorization)
    assert (signed.v, signed.r, signed.s) == (27, b"\x01" * 32, b"\x02" * 32)
    what = signed.authorization
    assert (what.owner, what.to, what.value_wei) == (WORKER, OWNER, 2**256 - 1)
    assert (what.valid_after_s, what.valid_before_s, what.nonce) == (0, 2**31, b"\x0a" * 32)


async def test_top_up__permit_not_mined_yet__202(api: Api) -> None:
    api.memory.top_ups.is_credited = False
    permit = {"owner": WORKER.lower(), "value": "5", "deadline": 7}
    status, answer = await api.post(
        "/api/credit/top-ups", {"permit": permit, "signature": SIGNED}, key=api.key
    )
    assert (status, answer["status"]) == (202, "pending")
    payment = api.memory.top_ups.payments[0]
    assert isinstance(payment, PermittedTransfer)
    assert (payment.owner, payment.permit.value_wei, payment.permit.deadline_s) == (WORKER, 5, 7)


@pytest.mark.parametrize(
    "body",
    [
        {"signature": SIGNED},
        {
            "authorization": AUTHORIZATION,
            "permit": {"owner": WORKER, "value": "5", "deadline": 7},
            "signature": SIGNED,
        },
        {"authorization": {**AUTHORIZATION, "value": 5}, "signature": SIGNED},
        {"authorization": {**AUTHORIZATION, "value": "-5"}, "signature": SIGNED},
        {"authorization": {**AUTHORIZATION, "value": "5.0"}, "signature": SIGNED},
        {"authorization": {**AUTHORIZATION, "nonce": "0x12"}, "signature": SIGNED},
        {"authorization": {**AUTHORIZATION, "to": OWNER.replace("F", "f")}, "signature": SIGNED},
        {"authorization": AUTHORIZATION, "signature": "0x1234"},
    ],
)
async def test_top_up__malformed__e005(api: Api, body: dict[str, object]) -> None:
    status, answer = await api.post("/api/credit/top-ups", body, key=api.key)
    assert (status, answer["error"]["code"]) == (400, "E005")
    assert api.memory.top_ups.payments == []
