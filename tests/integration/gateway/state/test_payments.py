"""Payments of single requests: each counts once, and one of which nothing was sent still counts."""

from collections import deque
from types import SimpleNamespace
from typing import Any, cast

import pytest

from decentralized_vllm.protocol.authorizations import (
    Authorization,
    AuthorizationKind,
    SignedAuthorization,
    authorization_message,
)
from decentralized_vllm.protocol.ids import Address, TxHash, Wei
from decentralized_vllm.protocol.permits import TokenDomain
from dvllm_gateway.errors import GatewayError, InvalidRequest, NetworkUnavailable, NoCapacity
from dvllm_gateway.ids import account_of
from dvllm_gateway.market.payments import RequestPayments
from dvllm_gateway.services.payments import PaymentTerms
from dvllm_gateway.services.top_ups import TopUp
from dvllm_gateway.state import Database, SqlRequestNonceStore
from tests.support.anvil import development_account

NOW_S = 1_750_000_000
PAYER, PAYEE = development_account(8), Address(development_account(6).address)
TOKEN = TokenDomain("Token", "1", 31337, Address(development_account(0).address))
TERMS = PaymentTerms(PAYEE, TOKEN, Wei(10**18), 300)


class Relay:
    """Refuses as often as `refusals` say."""

    def __init__(self, *refusals: GatewayError) -> None:
        self.refusals = deque(refusals)

    async def relay_for_request(self, signed: SignedAuthorization) -> TopUp:
        if self.refusals:
            raise self.refusals.popleft()
        what = signed.authorization
        return TopUp(TxHash("0x1"), account_of(what.owner), what.value_wei, True)


def payments(relay: Relay, database: Database) -> RequestPayments:
    async def chain_time_s() -> int:
        return NOW_S

    network: Any = SimpleNamespace(jobs=SimpleNamespace(chain_time_s=chain_time_s))
    nonces = SqlRequestNonceStore(database)
    return RequestPayments(network, PAYEE, lambda: relay, nonces, minimum_wei=Wei(1))


def payment() -> SignedAuthorization:
    what = Authorization(
        kind=AuthorizationKind.TRANSFER,
        owner=Address(PAYER.address),
        to=PAYEE,
        value_wei=TERMS.amount_wei,
        valid_after_s=0,
        valid_before_s=NOW_S + 300,
        nonce=bytes(range(32)),
    )
    signature = cast(Any, PAYER.sign_message(authorization_message(TOKEN, what)))
    r, s = (number.to_bytes(32, "big") for number in (signature.r, signature.s))
    return SignedAuthorization(what, signature.v, r, s)


@pytest.mark.parametrize(
    "refusal",
    [
        NoCapacity("the gateway cannot pay for jobs now"),
        InvalidRequest("the wallet holds fewer tokens than this", field="value"),
    ],
    ids=["no gas", "empty wallet"],
)
async def test_collect__nothing_was_sent__the_same_payment_is_taken_later_and_once(
    database: Database, refusal: GatewayError
) -> None:
    desk = payments(Relay(refusal), database)
    with pytest.raises(type(refusal)):
        await desk.collect(payment(), TERMS)
    assert (await desk.collect(payment(), TERMS)).amount_wei == TERMS.amount_wei
    with pytest.raises(InvalidRequest, match="used before"):
        await desk.collect(payment(), TERMS)


async def test_collect__nobody_knows_whether_it_was_sent__is_not_taken_again(
    database: Database,
) -> None:
    desk = payments(Relay(NetworkUnavailable("the chain does not answer")), database)
    with pytest.raises(NetworkUnavailable):
        await desk.collect(payment(), TERMS)
    with pytest.raises(InvalidRequest, match="used before"):
        await desk.collect(payment(), TERMS)
