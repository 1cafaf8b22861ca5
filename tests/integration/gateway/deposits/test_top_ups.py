"""Payments that a wallet signs and the gateway relays: credited once, and never without consent."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.permit import sign_authorization, sign_permit
from decentralized_vllm.chain.sender import OutboxSender
from decentralized_vllm.protocol.authorizations import (
    Authorization,
    AuthorizationKind,
    SignedAuthorization,
)
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.permits import Permit
from decentralized_vllm.protocol.units import tokens
from dvllm_gateway.errors import InvalidRequest, TransactionRejected
from dvllm_gateway.market.top_ups import RelayedTopUps, TopUpSettings
from dvllm_gateway.services.top_ups import PermittedTransfer
from tests.support.anvil import Anvil, development_account
from tests.support.deposit_desk import (
    GATEWAY,
    GATEWAY_ADDRESS,
    USER,
    USER_ACCOUNT,
    DepositDesk,
)
from tests.support.local_network import sending

USER_ADDRESS = Address(USER.address)
STRANGER = development_account(8)


@pytest.fixture
async def top_ups(
    network: Network, desk: DepositDesk, tmp_path: Path
) -> AsyncIterator[RelayedTopUps]:
    async with sending(network, GATEWAY, tmp_path) as sender:
        yield RelayedTopUps(network, GATEWAY_ADDRESS, sender, desk.watch)


async def authorized(
    network: Network, kind: AuthorizationKind = AuthorizationKind.RECEIVE, amount: int = 5
) -> SignedAuthorization:
    authorization = Authorization(
        kind=kind,
        owner=USER_ADDRESS,
        to=GATEWAY_ADDRESS,
        value_wei=tokens(amount),
        valid_after_s=0,
        valid_before_s=await network.jobs.chain_time_s() + 3600,
        nonce=bytes(range(32)),
    )
    return sign_authorization(USER, await network.token.domain(), authorization)


async def permitted(network: Network, amount: int = 5) -> PermittedTransfer:
    permit = Permit(
        owner=USER_ADDRESS,
        spender=GATEWAY_ADDRESS,
        value_wei=tokens(amount),
        nonce=await network.token.permit_nonce(USER_ADDRESS),
        deadline_s=await network.jobs.chain_time_s() + 3600,
    )
    signed = sign_permit(USER, await network.token.domain(), permit)
    return PermittedTransfer(USER_ADDRESS, signed)


@pytest.mark.parametrize("kind", AuthorizationKind)
async def test_top_up__authorization__is_credited_once_however_often_it_is_sent(
    network: Network, top_ups: RelayedTopUps, desk: DepositDesk, kind: AuthorizationKind
) -> None:
    signed = await authorized(network, kind)
    told = await asyncio.gather(*(top_ups.relay(signed) for _ in range(3)))
    again = await top_ups.relay(signed)
    assert {*told, again} == {again}
    assert again.is_credited
    assert (again.account, again.amount_wei) == (USER_ACCOUNT, tokens(5))
    assert [line.available_wei for line in await desk.ledger()] == [tokens(5)]


async def test_top_up__permit__is_credited_once_however_often_it_is_sent(
    network: Network, top_ups: RelayedTopUps, desk: DepositDesk
) -> None:
    payment = await permitted(network)
    first = await top_ups.relay(payment)
    again = await top_ups.relay(payment)
    assert first == again
    assert first.is_credited
    assert [line.available_wei for line in await desk.ledger()] == [tokens(5)]
    assert await network.token.allowance(USER_ADDRESS, GATEWAY_ADDRESS) == 0


async def test_top_up__permit_carried_out_by_somebody_else__is_drawn_all_the_same(
    network: Network, top_ups: RelayedTopUps, desk: DepositDesk, user: OutboxSender
) -> None:
    payment = await permitted(network)
    await user.send(
        network.token.permit(USER_ADDRESS, GATEWAY_ADDRESS, payment.permit), key="front-run"
    )
    await user.wait("front-run")
    assert (await top_ups.relay(payment)).is_credited
    assert await desk.available_wei() == tokens(5)


async def test_top_up__permit_of_somebody_else__draws_nothing_that_was_approved(
    network: Network, top_ups: RelayedTopUps, desk: DepositDesk, user: OutboxSender
) -> None:
    await user.send(network.token.approve(GATEWAY_ADDRESS, tokens(5)), key="approve")
    await user.wait("approve")
    payment = await permitted(network)
    forged = sign_permit(
        STRANGER,
        await network.token.domain(),
        Permit(USER_ADDRESS, GATEWAY_ADDRESS, tokens(5), 0, payment.permit.deadline_s),
    )
    with pytest.raises(InvalidRequest, match="did not sign"):
        await top_ups.relay(PermittedTransfer(USER_ADDRESS, forged))
    assert await network.token.balance(GATEWAY_ADDRESS) == 0


async def test_top_up__authorization_signed_by_a_stranger__is_refused_by_the_contract(
    network: Network, top_ups: RelayedTopUps
) -> None:
    mine = await authorized(network)
    forged = sign_authorization(STRANGER, await network.token.domain(), mine.authorization)
    with pytest.raises(TransactionRejected, match="InvalidAuthorization"):
        await top_ups.relay(forged)


async def test_top_up__authorization_used_up_elsewhere__is_refused_by_the_contract(
    network: Network, top_ups: RelayedTopUps, desk: DepositDesk, user: OutboxSender
) -> None:
    signed = await authorized(network, AuthorizationKind.TRANSFER)
    await user.send(network.token.transfer_authorized(signed), key="faster")
    await user.wait("faster")
    with pytest.raises(TransactionRejected, match="AuthorizationReused"):
        await top_ups.relay(signed)
    await desk.until_available(tokens(5))


async def test_top_up__nonce_of_another_payment__is_not_told_of_that_one(
    network: Network, top_ups: RelayedTopUps, desk: DepositDesk
) -> None:
    signed = await authorized(network)
    await top_ups.relay(signed)
    dearer = replace(signed.authorization, value_wei=tokens(50))
    for claimed in (
        replace(signed, authorization=dearer),
        sign_authorization(USER, await network.token.domain(), dearer),
    ):
        with pytest.raises(TransactionRejected):
            await top_ups.relay(claimed)
    assert await desk.available_wei() == tokens(5)


async def test_top_up__authorization_sent_again_when_it_has_lapsed__is_told_of_its_credit(
    network: Network, anvil: Anvil, top_ups: RelayedTopUps
) -> None:
    signed = await authorized(network)
    first = await top_ups.relay(signed)
    anvil.call("evm_increaseTime", 7200)
    anvil.mine()
    assert await top_ups.relay(signed) == first


async def test_top_up__permit_sent_again_after_two_others_and_its_time__is_told_of_its_credit(
    network: Network, anvil: Anvil, top_ups: RelayedTopUps
) -> None:
    payment = await permitted(network)
    first = await top_ups.relay(payment)
    for amount in (1, 2):
        await top_ups.relay(await permitted(network, amount))
    assert await top_ups.relay(payment) == first
    anvil.call("evm_increaseTime", 7200)
    anvil.mine()
    assert await top_ups.relay(payment) == first


async def test_top_up__permit_of_a_wallet_that_holds_less__costs_the_gateway_no_gas(
    network: Network, top_ups: RelayedTopUps
) -> None:
    payment = await permitted(network, 1_001)
    with pytest.raises(InvalidRequest) as caught:
        await top_ups.relay(payment)
    assert caught.value.field == "value"
    assert await network.token.permit_nonce(USER_ADDRESS) == 0


async def test_top_up__authorization_of_a_wallet_that_holds_less__blames_the_payment(
    network: Network, top_ups: RelayedTopUps
) -> None:
    """Not the gateway, whose money this is not about."""
    signed = await authorized(network, AuthorizationKind.TRANSFER, 1_001)
    for relay in (top_ups.relay, top_ups.relay_for_request):
        with pytest.raises(InvalidRequest, match="holds fewer") as caught:
            await relay(signed)
        assert caught.value.field == "value"


async def test_top_up__block_does_not_come__tells_that_it_is_on_its_way(
    network: Network, anvil: Anvil, desk: DepositDesk, tmp_path: Path
) -> None:
    anvil.call("evm_setAutomine", False)
    async with sending(network, GATEWAY, tmp_path) as sender:
        settings = TopUpSettings(wait_s=0.3)
        top_ups = RelayedTopUps(network, GATEWAY_ADDRESS, sender, desk.watch, settings)
        signed = await authorized(network)
        assert not (await top_ups.relay(signed)).is_credited
        anvil.mine()
        await desk.until_available(tokens(5))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"to": USER_ADDRESS}, "to"),
        ({"value_wei": Wei(10**17 - 1)}, "value"),
        ({"valid_before_s": 1}, "deadline"),
        ({"valid_before_s": 1 << 256}, "value"),
        ({"nonce": bytes(31)}, "signature"),
    ],
)
async def test_top_up__payment_the_gateway_does_not_want__is_refused_before_it_is_sent(
    network: Network, top_ups: RelayedTopUps, changes: dict[str, object], field: str
) -> None:
    signed = await authorized(network)
    changed = replace(signed, authorization=replace(signed.authorization, **changes))
    with pytest.raises(InvalidRequest) as caught:
        await top_ups.relay(changed)
    assert caught.value.field == field
