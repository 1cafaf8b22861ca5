"""What wallets sign: a key's signature, or whatever a contract that is a wallet accepts."""

import time
from collections.abc import Callable
from typing import Protocol

from eth_account.messages import SignableMessage

from decentralized_vllm.protocol.errors import InvalidSignature
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.request_auth import (
    WINDOW_S,
    check_bounds,
    read_headers,
    signed_message,
)
from decentralized_vllm.protocol.signatures import SIGNATURE_BYTES, digest_of, signer_of
from dvllm_gateway.errors import InvalidRequest
from dvllm_gateway.ids import read_address
from dvllm_gateway.services.identity import Credentials
from dvllm_gateway.services.origins import PublicOrigins
from dvllm_gateway.services.stores import RequestNonceStore

# Twice the window: another gateway's clock may be behind the one that forgets.
NONCE_KEPT_S = 2 * WINDOW_S


class ContractWallets(Protocol):
    async def accepts(self, wallet: Address, digest: bytes, signature: bytes) -> bool:
        """Asks the contract, by EIP-1271. False where there is none. Raises NetworkUnavailable."""


class Wallets:
    def __init__(self, contracts: ContractWallets) -> None:
        self._contracts = contracts

    async def has_signed(self, wallet: Address, message: SignableMessage, signature: bytes) -> bool:
        """Raises NetworkUnavailable: only a contract can tell, and the chain does not answer."""
        if _key_signed(wallet, message, signature):
            return True
        return await self._contracts.accepts(wallet, digest_of(message), signature)


class SignedRequests:
    """Requests that carry a wallet's signature over all they are, each good once."""

    def __init__(
        self,
        wallets: Wallets,
        nonces: RequestNonceStore,
        origins: PublicOrigins,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._wallets = wallets
        self._nonces = nonces
        self._origins = origins
        self._clock = clock

    async def signer_of(self, credentials: Credentials) -> Address:
        """Raises InvalidSignature, NetworkUnavailable.

        The nonce is noted after the signature is known to be good, else strangers could use up a
        wallet's nonces, and before any work is done.
        """
        now_s = self._clock()
        request, proof = credentials.request, read_headers(credentials.headers)
        wallet = _wallet(proof.address)
        check_bounds(request, proof, now_s=now_s, authorities=self._origins.authorities)
        message = signed_message(request, proof)
        if not await self._wallets.has_signed(wallet, message, proof.signature):
            raise InvalidSignature("X-Wallet-Address: another one signed this request")
        until_ms = (proof.timestamp_s + NONCE_KEPT_S) * 1000
        now_ms = int(now_s * 1000)
        if not await self._nonces.spend(wallet, proof.nonce, now_ms=now_ms, until_ms=until_ms):
            raise InvalidSignature("X-Wallet-Nonce: this request was seen before")
        return wallet


def _key_signed(wallet: Address, message: SignableMessage, signature: bytes) -> bool:
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        return signer_of(message, signature) == wallet
    except InvalidSignature:
        return False


def _wallet(text: str) -> Address:
    """In the one spelling under which nonces are kept."""
    try:
        return read_address(text)
    except InvalidRequest as error:
        raise InvalidSignature(f"X-Wallet-Address: {error.message}") from error
