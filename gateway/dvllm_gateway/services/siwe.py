"""Logging a wallet in by EIP-4361: a message with a nonce of ours, signed once."""

import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from decentralized_vllm.protocol.errors import InvalidSignature
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.request_auth import MAX_SIGNATURE_BYTES
from decentralized_vllm.protocol.signatures import SIGNATURE_BYTES
from decentralized_vllm.protocol.siwe import SiweMessage, instant_s, parse, signable
from dvllm_gateway.services.identity import Challenge
from dvllm_gateway.services.origins import PublicOrigins
from dvllm_gateway.services.stores import IssuedNonce, LoginNonceStore
from dvllm_gateway.services.wallet_signature import Wallets

LOGIN_WINDOW_S = 300
CLOCK_SKEW_S = 60
STATEMENT = "Sign in to decentralized-vllm. This makes an API key; it moves no money."

_NONCE_BYTES = 16
_SIGNATURE = re.compile(rf"0x((?:[0-9a-fA-F]{{2}}){{1,{MAX_SIGNATURE_BYTES}}})")


class WalletLogins:
    """`chain_id` is the one chain this gateway is for, and where contract wallets are asked."""

    def __init__(
        self,
        nonces: LoginNonceStore,
        wallets: Wallets,
        origins: PublicOrigins,
        chain_id: int,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._nonces = nonces
        self._wallets = wallets
        self._origins = origins
        self._chain_id = chain_id
        self._clock = clock

    async def challenge(self, wallet: Address) -> Challenge:
        now_s = int(self._clock())
        expires_s = now_s + LOGIN_WINDOW_S
        nonce = secrets.token_hex(_NONCE_BYTES)
        message = SiweMessage(
            domain=self._origins.own_domain,
            address=wallet,
            uri=self._origins.own_uri,
            chain_id=self._chain_id,
            nonce=nonce,
            issued_at=_rfc3339(now_s),
            statement=STATEMENT,
            expiration_time=_rfc3339(expires_s),
        )
        issued = IssuedNonce(nonce, wallet, expires_s * 1000)
        await self._nonces.issue(issued, now_ms=now_s * 1000)
        return Challenge(message.text(), nonce, issued.expires_at_ms)

    async def prove(self, text: str, signature: str) -> Address:
        """The wallet that signed `text`, whatever it says beyond what is checked here.

        Uses up the nonce before the signature is looked at: one try for each. Raises
        InvalidSignature, NetworkUnavailable.
        """
        message = parse(text)
        proof = _signature_bytes(signature)
        now_s = self._clock()
        self._check_place(message)
        _check_times(message, now_s)
        await self._use_nonce(message, now_s)
        if not await self._wallets.has_signed(message.address, signable(text), proof):
            raise InvalidSignature("another one signed this login")
        return message.address

    def _check_place(self, message: SiweMessage) -> None:
        """A login that another site asked for is no login here."""
        if not self._origins.has_domain(message.domain, message.scheme):
            raise InvalidSignature("the login is for another domain")
        if not self._origins.has_uri(message.uri):
            raise InvalidSignature("the login is for another URI")
        if message.chain_id != self._chain_id:
            raise InvalidSignature("the login is for another chain")

    async def _use_nonce(self, message: SiweMessage, now_s: float) -> None:
        issued = await self._nonces.take(message.nonce)
        if issued is None or issued.expires_at_ms <= now_s * 1000:
            raise InvalidSignature("the login's nonce is unknown, used or expired")
        if issued.address != message.address:
            raise InvalidSignature("the login's nonce was given to another wallet")


def _check_times(message: SiweMessage, now_s: float) -> None:
    if not -LOGIN_WINDOW_S <= instant_s(message.issued_at) - now_s <= CLOCK_SKEW_S:
        raise InvalidSignature("the login was issued at another time")
    if message.expiration_time is not None and instant_s(message.expiration_time) <= now_s:
        raise InvalidSignature("the login has expired")
    if message.not_before is not None and instant_s(message.not_before) > now_s:
        raise InvalidSignature("the login is for later")


def _signature_bytes(text: str) -> bytes:
    """Some wallets end with 0 or 1 where others write 27 or 28; a nonce is good once anyway."""
    found = _SIGNATURE.fullmatch(text)
    if found is None:
        raise InvalidSignature("a signature is 0x and bytes in hex")
    signature = bytes.fromhex(found[1])
    if len(signature) == SIGNATURE_BYTES and signature[-1] < 2:
        return signature[:-1] + bytes([signature[-1] + 27])
    return signature


def _rfc3339(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
