"""Requests that are paid for as they are sent, with the x402 project's own client."""

import asyncio
import base64
from typing import Any

import aiohttp
import pydantic_core
import pytest
from x402 import x402Client
from x402.http import x402HTTPClient
from x402.mechanisms.evm.exact.register import register_exact_evm_client

from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.units import tokens
from dvllm_gateway.ids import account_of
from dvllm_gateway.state import SqlAccountStore, open_database
from tests.support.anvil import development_account
from tests.support.gateway_process import GATEWAY_KEY, GatewayProcess, gateway_process
from tests.support.local_network import OWNER, sending
from tests.support.worker_network import MODEL_ID, WorkerNetwork
from tests.support.worker_process import WorkerProcess

PAYER = development_account(8)
BODY = {
    "model": str(MODEL_ID),
    "messages": [{"role": "user", "content": "Say hello"}],
    "max_tokens": 4,
}
REQUIRED, SIGNATURE, RESPONSE = "PAYMENT-REQUIRED", "PAYMENT-SIGNATURE", "PAYMENT-RESPONSE"


def decoded(header: str) -> Any:
    return pydantic_core.from_json(base64.b64decode(header))


def encoded(message: Any) -> str:
    return base64.b64encode(pydantic_core.to_json(message)).decode()


class Buyer:
    """Asks one gateway, without any credentials."""

    def __init__(self, net: WorkerNetwork, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url
        client = x402Client()
        token = net.network.token.address
        allowed = {"asset": token, "max_amount_per_payment": str(tokens(5))}
        network = f"eip155:{net.network.identity.chain_id}"
        client.set_spend_controls({"allowed_assets": [{**allowed, "network": network}]})
        register_exact_evm_client(client, PAYER)
        self._payer = x402HTTPClient(client)

    async def ask(
        self, payment: str | None = None, **changes: object
    ) -> tuple[int, Any, dict[str, str]]:
        headers = {} if payment is None else {SIGNATURE: payment}
        async with self._http.post(self._url, json={**BODY, **changes}, headers=headers) as reply:
            return reply.status, await reply.text(), dict(reply.headers)

    async def payment(self, required: str) -> str:
        headers, _ = await self._payer.handle_402_response({REQUIRED: required}, b"", self._url)
        return headers[SIGNATURE]

    async def pays(self, **changes: object) -> tuple[int, Any, dict[str, str]]:
        _, _, headers = await self.ask(**changes)
        return await self.ask(await self.payment(headers[REQUIRED]), **changes)


def chat_url(gateway: GatewayProcess) -> str:
    return f"{gateway.unified_url}/v1/chat/completions"


async def opened(gateway: GatewayProcess) -> None:
    """Until it trades, and knows the models, which are read in the background."""
    gateway.start()
    await gateway.ready()
    async with aiohttp.ClientSession() as http, asyncio.timeout(30):
        while True:
            async with (
                http.get(f"{gateway.admin_url}/readyz") as ready,
                http.get(f"{gateway.unified_url}/api/models") as models,
            ):
                if (ready.status, models.status) == (200, 200):
                    return
            await asyncio.sleep(0.1)


async def fund_payer(net: WorkerNetwork) -> None:
    async with sending(net.network, OWNER, net.folder / "owner") as sender:
        call = net.network.token.transfer(Address(PAYER.address), tokens(100))
        await sender.send(call, key="fund the payer")
        await sender.wait("fund the payer")


async def paid_so_far(net: WorkerNetwork) -> int:
    return tokens(100) - await net.network.token.balance(Address(PAYER.address))


async def test_request__paid_with_x402__is_served_and_the_rest_stays_the_payers(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    await fund_payer(net)
    with gateway_process(net, x402={"enabled": True}) as gateway:
        await opened(gateway)
        async with aiohttp.ClientSession() as http:
            buyer = Buyer(net, http, chat_url(gateway))
            status, text, headers = await buyer.ask()
            assert status == 402, text
            assert pydantic_core.from_json(text)["error"]["type"] == "insufficient_quota"
            required = decoded(headers[REQUIRED])
            (terms,) = required["accepts"]
            assert (terms["payTo"], terms["scheme"]) == (GATEWAY_KEY.address, "exact")
            assert await paid_so_far(net) == 0
            nowhere = {"Host": "a b@c:99999"}  # the terms could not name what is paid for
            async with http.post(chat_url(gateway), json=BODY, headers=nowhere) as reply:
                assert reply.status == 400

            payment = await buyer.payment(headers[REQUIRED])
            status, text, headers = await buyer.ask(payment)
            assert status == 200, text
            assert pydantic_core.from_json(text)["choices"][0]["message"]["content"]
            told = decoded(headers[RESPONSE])
            assert (told["success"], told["payer"]) == (True, PAYER.address)
            assert told["amount"] == terms["amount"]
            assert await paid_so_far(net) == int(terms["amount"])

            status, text, headers = await buyer.ask(payment)
            assert (status, RESPONSE in headers) == (402, False)
            assert "used before" in decoded(headers[REQUIRED])["error"]
            assert await paid_so_far(net) == int(terms["amount"])

            status, text, headers = await buyer.pays(n=2, stream=True)
            assert (status, text.endswith("data: [DONE]\n\n")) == (200, True), text
            assert decoded(headers[RESPONSE])["success"]
        await gateway.has_open_tasks(0)  # answers come before what they cost is in the books

    async with open_database(gateway.folder / "data" / "gateway.sqlite") as database:
        store = SqlAccountStore(database)
        balance = await store.balance(account_of(Address(PAYER.address)))
        lines = (await store.history(account_of(Address(PAYER.address)), limit=50, offset=0)).lines
    charged = -sum(line.reserved_wei for line in lines if line.movement == "charge")
    assert charged > 0
    assert balance.available_wei + balance.reserved_wei == await paid_so_far(net) - charged


async def test_request__payment_that_does_not_hold__is_refused_and_nothing_moves(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    await fund_payer(net)
    with gateway_process(net, x402={"enabled": True}) as gateway:
        await opened(gateway)
        async with aiohttp.ClientSession() as http:
            buyer = Buyer(net, http, chat_url(gateway))
            _, _, headers = await buyer.ask()
            payment = decoded(await buyer.payment(headers[REQUIRED]))
            what = payment["payload"]["authorization"]
            for field, value, why in (
                ("value", "1", "another amount"),
                ("to", PAYER.address, "somebody else"),
                ("validBefore", str(int(what["validBefore"]) + 1), "did not sign"),
                ("validBefore", str(2**255), "too long"),
                ("nonce", "0x" + "11" * 32, "did not sign"),
                ("from", GATEWAY_KEY.address, "did not sign"),
                ("value", "-1", "no payment"),
            ):
                changed = {**payment, "payload": {**payment["payload"]}}
                changed["payload"]["authorization"] = {**what, field: value}
                status, _, headers = await buyer.ask(encoded(changed))
                assert (status, field, why in decoded(headers[REQUIRED])["error"]) == (
                    402,
                    field,
                    True,
                ), headers
            for nonsense in ("", "e30=", "%%", "W" * 7000, encoded({**payment, "x402Version": 1})):
                status, _, headers = await buyer.ask(nonsense)
                assert (status, REQUIRED in headers) == (402, True)
            status, _, headers = await buyer.ask(encoded(payment), n=8, max_tokens=128)
            assert "another amount" in decoded(headers[REQUIRED])["error"]
            status, _, headers = await buyer.ask(model="unknown")
            assert (status, REQUIRED in headers) == (404, False)
            assert await paid_so_far(net) == 0

            status, text, _ = await buyer.ask(encoded(payment))
            assert status == 200, text


@pytest.mark.parametrize("has_it", [True, False])
async def test_request__without_credit__is_asked_to_pay_only_where_that_is_switched_on(
    net: WorkerNetwork, worker: WorkerProcess, has_it: bool
) -> None:
    await fund_payer(net)
    with gateway_process(net, x402={"enabled": has_it}) as gateway:
        await opened(gateway)
        poor = {"Authorization": f"Bearer {await gateway.make_key('poor')}"}
        async with aiohttp.ClientSession() as http:
            buyer = Buyer(net, http, chat_url(gateway))
            status, _, headers = await buyer.ask()
            assert (status, REQUIRED in headers) == (402 if has_it else 401, has_it)
            async with http.post(chat_url(gateway), json=BODY, headers=poor) as reply:
                assert (reply.status, REQUIRED in reply.headers) == (402, has_it)
                assert (await reply.json())["error"]["type"] == "insufficient_quota"


async def test_payment__seen_as_a_top_up__buys_nothing(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    """Whoever reads the chain knows its signature: that must not open the payer's account."""
    await fund_payer(net)
    with gateway_process(net, x402={"enabled": True}) as gateway:
        await opened(gateway)
        async with aiohttp.ClientSession() as http:
            buyer = Buyer(net, http, chat_url(gateway))
            _, _, headers = await buyer.ask()
            payment = decoded(await buyer.payment(headers[REQUIRED]))
            what = payment["payload"]["authorization"]
            body = {
                "authorization": {
                    **what,
                    "type": "TransferWithAuthorization",
                    "validAfter": int(what["validAfter"]),
                    "validBefore": int(what["validBefore"]),
                },
                "signature": payment["payload"]["signature"],
            }
            key = await gateway.make_key(PAYER.address.lower(), "wallet", "infer", "read")
            payer = {"Authorization": f"Bearer {key}"}
            async with http.post(
                f"{gateway.unified_url}/api/credit/top-ups", json=body, headers=payer
            ) as reply:
                assert reply.status == 201, await reply.text()
            status, _, headers = await buyer.ask(encoded(payment))
            assert status == 402, headers
            assert RESPONSE not in headers
            assert await paid_so_far(net) == int(what["value"])
