"""Who asks: by API key, by a wallet's signature on the request, or by a wallet's login."""

import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

from decentralized_vllm.protocol.errors import InvalidDocument, InvalidSignature
from decentralized_vllm.protocol.ids import Address, Cid
from decentralized_vllm.protocol.request_auth import form_digest
from dvllm_gateway.errors import Unauthenticated
from dvllm_gateway.ids import account_of
from dvllm_gateway.services.api_keys import ApiKeyService
from dvllm_gateway.services.guesses import Guesses
from dvllm_gateway.services.identity import Challenge, Credentials, NewApiKey
from dvllm_gateway.services.principals import Method, Principal, Scope
from dvllm_gateway.services.scopes import ScopePolicy
from dvllm_gateway.services.siwe import WalletLogins
from dvllm_gateway.services.wallet_signature import SignedRequests

log = logging.getLogger("dvllm_gateway.auth")

# One text for all of it: a caller must not learn which keys, wallets or nonces exist.
REFUSAL = "these credentials are not valid"
REFUSAL_DETAILS = (
    "the API key is unknown or revoked; or the signature, its wallet, its nonce, its time (at most "
    "300 s from now) or the host name it was made for does not hold"
)


class Authentication:
    """The port Authenticator. `owner` reads who owns the model registry just now.

    A bearer token with three parts is a JWT, which no dialect of this gateway hands out: it is
    refused like any other text that is no API key.
    """

    def __init__(
        self,
        keys: ApiKeyService,
        requests: SignedRequests,
        logins: WalletLogins,
        policy: ScopePolicy,
        *,
        owner: Callable[[], Awaitable[Address]],
        guesses: Guesses | None = None,
    ) -> None:
        self._keys = keys
        self._requests = requests
        self._logins = logins
        self._policy = policy
        self._owner = owner
        self._guesses = guesses or Guesses()

    async def identify(self, credentials: Credentials) -> Principal | None:
        authorization = credentials.headers.get("Authorization")
        if authorization is None:
            return None
        look = partial(self._claimed, authorization, credentials)
        return await self._looked_at(credentials.address, look)

    async def identify_key(self, secret: str, *, address: str = "") -> Principal:
        return await self._looked_at(address, partial(self._holder_of, secret))

    async def _looked_at(self, address: str, look: Callable[[], Awaitable[Principal]]) -> Principal:
        """The address first: a flood of wrong credentials must not reach the database."""
        if address:
            await self._guesses.check(address)
        try:
            return await look()
        except Unauthenticated:
            if address:
                await self._guesses.note(address)
            raise

    async def _claimed(self, authorization: str, credentials: Credentials) -> Principal:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return await self._holder_of(value.strip())
        if scheme.lower() == "signature":
            return await self._signer_of(credentials)
        raise _refusal("an unknown scheme")

    async def _holder_of(self, secret: str) -> Principal:
        principal = await self._keys.principal_of(secret)
        if principal is None:
            raise _refusal("no key in force")
        return principal

    async def with_owner(self, principal: Principal) -> Principal:
        if principal.method is not Method.WALLET or principal.address != await self._owner():
            return principal
        return replace(principal, scopes=principal.scopes | {Scope.OWNER})

    def check_content(self, claimed_sha256: str, fields: Mapping[str, str], cid: Cid) -> None:
        try:
            received = form_digest(fields, cid)
        except InvalidDocument as error:
            raise _refusal(error.message) from error
        claimed = claimed_sha256.lower().encode(errors="replace")
        if not hmac.compare_digest(received.encode(), claimed):
            raise _refusal("the form is not the one that was signed")

    async def challenge(self, address: Address) -> Challenge:
        return await self._logins.challenge(address)

    async def verify(self, message: str, signature: str, scopes: frozenset[Scope]) -> NewApiKey:
        try:
            wallet = await self._logins.prove(message, signature)
        except InvalidSignature as error:
            raise _refusal(error.message) from error
        return await self._keys.create(account_of(wallet), scopes)

    async def _signer_of(self, credentials: Credentials) -> Principal:
        try:
            wallet = await self._requests.signer_of(credentials)
        except InvalidSignature as error:
            raise _refusal(error.message) from error
        account = account_of(wallet)
        return Principal(account, self._policy.grantable(account), Method.WALLET, address=wallet)


def _refusal(reason: str) -> Unauthenticated:
    """The reason is for the operator who looks for it."""
    log.debug("credentials refused", extra={"reason": reason})
    return Unauthenticated(REFUSAL, details=REFUSAL_DETAILS)
