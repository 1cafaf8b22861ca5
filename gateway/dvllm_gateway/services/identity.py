"""Who calls: API keys, logins, and what of a request proves its sender. Raises GatewayErrors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from decentralized_vllm.protocol.ids import Address, Cid
from decentralized_vllm.protocol.request_auth import HttpRequest
from dvllm_gateway.ids import AccountId, KeyId
from dvllm_gateway.services.principals import Principal, Scope


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: KeyId
    account: AccountId
    scopes: frozenset[Scope]
    created_at_ms: int
    last_used_at_ms: int | None


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """`secret` is shown once and stored nowhere."""

    key: ApiKey
    secret: str


class ApiKeys(Protocol):
    async def create(self, account: AccountId, scopes: frozenset[Scope]) -> NewApiKey: ...

    async def list(self, account: AccountId) -> tuple[ApiKey, ...]: ...

    async def revoke(self, account: AccountId, key_id: KeyId) -> None:
        """In force everywhere within five seconds. Raises NotFound."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """An EIP-4361 message to sign. `expires_at_ms` is Unix time."""

    message: str
    nonce: str
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """What of a request proves who sent it. `headers` are case-insensitive.

    `address` on the net is counted by if they are wrong, unless it is "".
    """

    headers: Mapping[str, str]
    request: HttpRequest
    address: str = ""


class Authenticator(Protocol):
    async def identify(self, credentials: Credentials) -> Principal | None:
        """None for a request without credentials. Raises Unauthenticated for bad ones, and
        RateLimited without a look at them after too many from that address."""

    async def identify_key(self, secret: str, *, address: str = "") -> Principal:
        """By an API key alone, as a WebSocket's first frame brings it. Raises as `identify`."""

    async def with_owner(self, principal: Principal) -> Principal:
        """With the scope `owner` if its wallet signed this request and owns the models just now.

        To be asked before an operation that needs that scope. Raises NetworkUnavailable.
        """

    def check_content(self, claimed_sha256: str, fields: Mapping[str, str], cid: Cid) -> None:
        """After the last byte of a signed upload, whose signature covers `claimed_sha256` only.

        That is the header X-Content-Digest, which stands for the body in `HttpRequest`. `cid` is
        what the received files make. Raises Unauthenticated if something else was sent.
        """

    async def challenge(self, address: Address) -> Challenge: ...

    async def verify(self, message: str, signature: str, scopes: frozenset[Scope]) -> NewApiKey:
        """Logs a wallet in: an empty `scopes` asks for read and infer.

        Raises Unauthenticated, Forbidden for scopes this wallet may not have, NetworkUnavailable.
        """
