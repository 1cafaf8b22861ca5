"""Puts signed payments on chain. What they bring is credited by the watch over deposits alone."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from eth_account.messages import SignableMessage

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.authorizations import SignedAuthorization
from decentralized_vllm.protocol.errors import (
    ContractRevert,
    InsufficientFunds,
    InvalidSignature,
    TransactionFailed,
)
from decentralized_vllm.protocol.ids import Address, TxHash, Wei
from decentralized_vllm.protocol.permits import Permit, permit_message
from decentralized_vllm.protocol.ports import TransactionSender
from decentralized_vllm.protocol.signatures import signer_of
from decentralized_vllm.protocol.units import format_tokens
from dvllm_gateway.errors import InvalidRequest, NetworkUnavailable
from dvllm_gateway.ids import account_of
from dvllm_gateway.market.deposits import DepositWatch
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.services.top_ups import PermittedTransfer, SignedPayment, TopUp

LEAST_WEI = Wei(10**17)
UINT256_END = 1 << 256
WORD_BYTES = 32


@dataclass(frozen=True, slots=True)
class TopUpSettings:
    """`minimum_wei` makes a payment worth the gas of its relay. `margin_s`: it must count for at
    least so long, or it may lapse before it is mined. `wait_s`: for a block, and for the credit.
    """

    minimum_wei: Wei = LEAST_WEI
    margin_s: int = 60
    wait_s: float = 15.0


class RelayedTopUps:
    """The port TopUps, of the gateway at `address`, with whose key `sender` sends."""

    def __init__(
        self,
        network: Network,
        address: Address,
        sender: TransactionSender,
        deposits: DepositWatch,
        settings: TopUpSettings | None = None,
    ) -> None:
        self._network = network
        self._address = address
        self._sender = sender
        self._deposits = deposits
        self._settings = settings or TopUpSettings()

    async def payee(self) -> Address:
        return self._address

    async def relay(self, payment: SignedPayment) -> TopUp:
        _check_form(payment)
        with as_gateway_errors(), _payers_money():
            if isinstance(payment, SignedAuthorization):
                return await self._authorized(payment)
            return await self._permitted(payment)

    async def relay_for_request(self, signed: SignedAuthorization) -> TopUp:
        """As `relay`, but never told of what was sent as a top-up: that is not paid once more.

        The caller sees to it that each payment comes here once.
        """
        _check_form(signed)
        with as_gateway_errors(), _payers_money():
            return await self._authorized(signed, errand="request")

    async def _authorized(self, signed: SignedAuthorization, errand: str = "top-up") -> TopUp:
        what = signed.authorization
        if what.to != self._address:
            raise InvalidRequest(f"the payment must be to {self._address}", field="to")
        key = _key(errand, what.owner, signed)
        await self._check(what.value_wei, what.valid_before_s, key)
        call = self._network.token.transfer_authorized(signed)
        tx_hash = await self._sender.send(call, key=key, deadline_s=what.valid_before_s)
        return await self._followed(key, tx_hash, what.owner, what.value_wei)

    async def _permitted(self, payment: PermittedTransfer) -> TopUp:
        """Two transactions: the permit, which anybody who sees it may carry out, and the draw."""
        owner, permit = payment.owner, payment.permit
        key = _key("top-up", owner, payment)
        await self._check(permit.value_wei, permit.deadline_s, key)
        if await self._is_unused(payment, key):
            await self._check_held(payment)
            await self._use(payment, key=key)
        draw = self._network.token.transfer_from(owner, self._address, permit.value_wei)
        tx_hash = await self._sender.send(draw, key=key)
        return await self._followed(key, tx_hash, owner, permit.value_wei)

    async def _check(self, value_wei: Wei, until_s: int, key: str) -> None:
        least_wei = self._settings.minimum_wei
        if value_wei < least_wei:
            raise InvalidRequest(
                f"a payment must be of at least {format_tokens(least_wei)} tokens", field="value"
            )
        least_s = await self._network.jobs.chain_time_s() + self._settings.margin_s
        if until_s < least_s and not await self._was_sent(key):
            raise InvalidRequest("the payment lapses too soon", field="deadline")

    async def _was_sent(self, key: str) -> bool:
        """Then it may be sent again to hear of it, whatever has passed since."""
        try:
            async with asyncio.timeout(self._settings.wait_s):
                await self._sender.wait(key)
        except TimeoutError:
            return True
        except TransactionFailed:
            return False
        return True

    async def _check_held(self, payment: PermittedTransfer) -> None:
        """Before the gateway pays for a permit from which nothing could be drawn."""
        if await self._network.token.balance(payment.owner) < payment.permit.value_wei:
            raise InsufficientFunds("the payment is of more than its owner has")

    async def _is_unused(self, payment: PermittedTransfer, key: str) -> bool:
        """Whether the permit still has to be carried out. Raises InvalidRequest for one that the
        owner did not sign: what was approved otherwise is not to be drawn."""
        token = self._network.token
        domain, next_nonce = await asyncio.gather(token.domain(), token.permit_nonce(payment.owner))
        for nonce in (next_nonce, next_nonce - 1):
            permit = Permit(
                owner=payment.owner,
                spender=self._address,
                value_wei=payment.permit.value_wei,
                nonce=nonce,
                deadline_s=payment.permit.deadline_s,
            )
            if nonce >= 0 and _signer(permit_message(domain, permit), payment) == payment.owner:
                return nonce == next_nonce
        if await self._was_sent(key):
            return False
        raise InvalidRequest("the owner did not sign this, or has used it up", field="signature")

    async def _use(self, payment: PermittedTransfer, *, key: str) -> None:
        permit = payment.permit
        key_of_permit = f"{key}:permit"
        call = self._network.token.permit(payment.owner, self._address, permit)
        try:
            await self._sender.send(call, key=key_of_permit, deadline_s=permit.deadline_s)
            async with asyncio.timeout(self._settings.wait_s):
                await self._sender.wait(key_of_permit)
        except TimeoutError:
            raise NetworkUnavailable("the permit is on its way: send it once more") from None
        except ContractRevert:
            if await self._is_unused(payment, key):  # nobody else was faster
                raise

    async def _followed(self, key: str, tx_hash: TxHash, owner: Address, value_wei: Wei) -> TopUp:
        is_credited = True
        try:
            async with asyncio.timeout(self._settings.wait_s):
                tx_hash = (await self._sender.wait(key)).tx_hash
                await self._deposits.credited(tx_hash)
        except TimeoutError:
            is_credited = False
        return TopUp(tx_hash, account_of(owner), value_wei, is_credited)


@contextmanager
def _payers_money() -> Iterator[None]:
    """What is missing is missing in the payer's wallet, not in the gateway's."""
    try:
        yield
    except InsufficientFunds as error:
        raise InvalidRequest("the wallet holds fewer tokens than this", field="value") from error


def _key(errand: str, owner: Address, payment: SignedPayment) -> str:
    """Of all that was signed: who shows something else of the same nonce is not told of it."""
    return f"{errand}:{owner}:{hashlib.sha256(repr(payment).encode()).hexdigest()}"


def _check_form(payment: SignedPayment) -> None:
    """What no contract could even be asked about."""
    if isinstance(payment, SignedAuthorization):
        what = payment.authorization
        numbers = [what.value_wei, what.valid_after_s, what.valid_before_s]
        v, words = payment.v, [what.nonce, payment.r, payment.s]
    else:
        permit = payment.permit
        numbers = [permit.value_wei, permit.deadline_s]
        v, words = permit.v, [permit.r, permit.s]
    if not all(0 <= number < UINT256_END for number in numbers):
        raise InvalidRequest("an amount or a time is out of range", field="value")
    if v not in (27, 28) or any(len(word) != WORD_BYTES for word in words):
        raise InvalidRequest("this is no signature", field="signature")


def _signer(message: SignableMessage, payment: PermittedTransfer) -> Address | None:
    permit = payment.permit
    try:
        return signer_of(message, permit.r + permit.s + bytes([permit.v]))
    except InvalidSignature:
        return None
