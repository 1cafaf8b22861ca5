"""Collects payments for single requests: each is checked, noted as used, and put on chain."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Protocol

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.authorizations import (
    AuthorizationKind,
    SignedAuthorization,
    authorization_message,
)
from decentralized_vllm.protocol.errors import InvalidSignature
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.permits import TokenDomain
from decentralized_vllm.protocol.signatures import signer_of
from dvllm_gateway.errors import InvalidRequest, NoCapacity
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.services.clock import unix_ms
from dvllm_gateway.services.payments import PaymentTerms
from dvllm_gateway.services.stores import RequestNonceStore
from dvllm_gateway.services.top_ups import TopUp

TIMEOUT_S = 300
CLOCKS_DIFFER_S = 600
# Far longer than a payment counts on chain, so that none is forgotten which could still be mined.
NONCE_KEPT_MS = 7 * 24 * 3600 * 1000


class PaymentRelay(Protocol):
    async def relay_for_request(self, signed: SignedAuthorization) -> TopUp: ...


class PaymentNonces(RequestNonceStore, Protocol):
    async def give_back(self, address: Address, nonce: str) -> None:
        """What it was spent for did not happen."""


class RequestPayments:
    """The port Payments, of the gateway at `payee`. `relay` may raise NoCapacity."""

    def __init__(
        self,
        network: Network,
        payee: Address,
        relay: Callable[[], PaymentRelay],
        nonces: PaymentNonces,
        *,
        minimum_wei: Wei,
        clock_ms: Callable[[], int] = unix_ms,
    ) -> None:
        self._network = network
        self._payee = payee
        self._relay = relay
        self._nonces = nonces
        self._minimum_wei = minimum_wei
        self._clock_ms = clock_ms
        self._domain: TokenDomain | None = None

    async def terms(self, price_wei: Wei) -> PaymentTerms:
        if self._domain is None:
            with as_gateway_errors():
                self._domain = await self._network.token.domain()
        return PaymentTerms(
            payee=self._payee,
            token=self._domain,
            amount_wei=max(price_wei, self._minimum_wei),
            timeout_s=TIMEOUT_S,
        )

    async def collect(self, signed: SignedAuthorization, terms: PaymentTerms) -> TopUp:
        """The nonce is noted after the signature is known to be good, else strangers could use up
        a wallet's nonces; and before anything is sent, since what is on chain everybody can read
        and bring again. Where it is known that nothing was, the payment is as good as before."""
        _check_amount(signed, terms)
        relay = self._relay()
        with as_gateway_errors():
            now_s = await self._network.jobs.chain_time_s()
        if signed.authorization.valid_before_s > now_s + TIMEOUT_S + CLOCKS_DIFFER_S:
            raise InvalidRequest("the payment counts for too long", field="validBefore")
        _check_signer(signed, terms.token)
        await self._use_up(signed)
        try:
            return await relay.relay_for_request(signed)
        except (NoCapacity, InvalidRequest):
            await self._nonces.give_back(signed.authorization.owner, _nonce(signed))
            raise

    async def _use_up(self, signed: SignedAuthorization) -> None:
        what, now_ms = signed.authorization, self._clock_ms()
        is_new = await self._nonces.spend(
            what.owner,
            _nonce(signed),
            now_ms=now_ms,
            until_ms=now_ms + NONCE_KEPT_MS,
        )
        if not is_new:
            raise InvalidRequest("this payment was used before", field="nonce")


def _nonce(signed: SignedAuthorization) -> str:
    """Short: the column takes 64 characters, and PostgreSQL no more."""
    return f"x402:{urlsafe_b64encode(signed.authorization.nonce).decode()}"


def _check_amount(signed: SignedAuthorization, terms: PaymentTerms) -> None:
    what = signed.authorization
    if what.kind is not AuthorizationKind.TRANSFER:
        raise InvalidRequest("this is no TransferWithAuthorization", field="payload")
    if what.to != terms.payee:
        raise InvalidRequest("the payment is to somebody else", field="to")
    if what.value_wei != terms.amount_wei:
        raise InvalidRequest("the payment is of another amount", field="value")


def _check_signer(signed: SignedAuthorization, token: TokenDomain) -> None:
    message = authorization_message(token, signed.authorization)
    try:
        signer = signer_of(message, signed.r + signed.s + bytes([signed.v]))
    except InvalidSignature as error:
        raise InvalidRequest(error.message, field="signature") from error
    if signer != signed.authorization.owner:
        raise InvalidRequest("the payer did not sign this", field="signature")
