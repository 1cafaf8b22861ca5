"""The gateway's logins over stores in memory, at a time that tests set."""

from dataclasses import dataclass, field

from eth_account.signers.local import LocalAccount
from multidict import CIMultiDict

from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.request_auth import HttpRequest, body_digest, signed_headers
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.api_keys import ApiKeyService
from dvllm_gateway.services.auth import Authentication
from dvllm_gateway.services.guesses import GUESSES, Guesses
from dvllm_gateway.services.identity import Credentials
from dvllm_gateway.services.origins import PublicOrigins
from dvllm_gateway.services.ports import Rate
from dvllm_gateway.services.principal_cache import PrincipalCache
from dvllm_gateway.services.scopes import ScopePolicy
from dvllm_gateway.services.siwe import WalletLogins
from dvllm_gateway.services.stores import ApiKeyStore, LoginNonceStore, RequestNonceStore
from dvllm_gateway.services.wallet_signature import SignedRequests, Wallets
from dvllm_gateway.state.memory_auth import (
    MemoryApiKeyStore,
    MemoryLoginNonceStore,
    MemoryRequestNonceStore,
)

NOW_S = 1_700_000_000.0
CHAIN_ID = 31337
ORIGINS = ("http://localhost:8001", "https://gateway.example")
NOT_MINE = Address("0x0000000000000000000000000000000000000001")
SERVER_SECRET = b"\x07" * 32


@dataclass
class Clock:
    now_s: float = NOW_S

    def __call__(self) -> float:
        return self.now_s


@dataclass
class ScriptedContracts:
    """A ContractWallets for tests of what stands on it: accepts what it was told to."""

    accepted: set[tuple[Address, bytes]] = field(default_factory=set)
    asked: list[Address] = field(default_factory=list)
    error: Exception | None = None

    async def accepts(self, wallet: Address, digest: bytes, signature: bytes) -> bool:
        self.asked.append(wallet)
        if self.error is not None:
            raise self.error
        return (wallet, signature) in self.accepted


@dataclass
class AuthParts:
    """One gateway process; give two of them the same stores to have two over one database."""

    key_store: ApiKeyStore = field(default_factory=MemoryApiKeyStore)
    request_nonces: RequestNonceStore = field(default_factory=MemoryRequestNonceStore)
    login_nonces: LoginNonceStore = field(default_factory=MemoryLoginNonceStore)
    contracts: ScriptedContracts = field(default_factory=ScriptedContracts)
    clock: Clock = field(default_factory=Clock)
    operators: frozenset[AccountId] = frozenset()
    owner: Address = NOT_MINE
    chain_error: Exception | None = None
    guesses: Rate = GUESSES

    def __post_init__(self) -> None:
        policy, wallets = ScopePolicy(self.operators), Wallets(self.contracts)
        origins = PublicOrigins.of(ORIGINS)
        self.keys = ApiKeyService(
            self.key_store,
            policy,
            SERVER_SECRET,
            cache=PrincipalCache(clock=self.clock),
            clock=self.clock,
        )
        self.auth = Authentication(
            self.keys,
            SignedRequests(wallets, self.request_nonces, origins, clock=self.clock),
            WalletLogins(self.login_nonces, wallets, origins, CHAIN_ID, clock=self.clock),
            policy,
            owner=self._owner,
            guesses=Guesses(self.guesses, clock=self.clock),
        )

    async def _owner(self) -> Address:
        if self.chain_error is not None:
            raise self.chain_error
        return self.owner


REQUEST = HttpRequest("localhost:8001", "POST", "/api/tasks/submit?a=b", body_digest(b"{}"))


def unsigned(request: HttpRequest = REQUEST, **headers: str) -> Credentials:
    """Header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Credentials(CIMultiDict(named), request)


def bearer(secret: str) -> Credentials:
    return unsigned(Authorization=f"Bearer {secret}")


def signed(
    account: LocalAccount,
    request: HttpRequest = REQUEST,
    *,
    timestamp_s: int = int(NOW_S),
    nonce: str = "nonce-of-a-request-1",
    **changed_headers: str,
) -> Credentials:
    headers = CIMultiDict(signed_headers(request, account, timestamp_s=timestamp_s, nonce=nonce))
    headers.update({name.replace("_", "-"): value for name, value in changed_headers.items()})
    return Credentials(headers, request)
