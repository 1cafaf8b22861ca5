"""Keys, logins, credit and limits that need no database."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from decentralized_vllm.protocol.ids import Address, Cid, TxHash, Wei
from decentralized_vllm.protocol.request_auth import form_digest
from dvllm_gateway.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Unauthenticated,
)
from dvllm_gateway.ids import AccountId, KeyId, new_task_id
from dvllm_gateway.services.identity import ApiKey, Challenge, Credentials, NewApiKey
from dvllm_gateway.services.ports import (
    Attempt,
    Balance,
    LimitState,
    Rate,
    StoredReply,
)
from dvllm_gateway.services.principals import Method, Principal, Scope
from dvllm_gateway.services.top_ups import SignedPayment, TopUp
from tests.support.gateway_in_memory.facts import ASKER, LIMIT, NOON_MS, OWNER


@dataclass
class MemoryKeys:
    """Keys by their secret, for callers and for the authenticator."""

    by_secret: dict[str, Principal] = field(default_factory=dict)
    made: dict[KeyId, ApiKey] = field(default_factory=dict)

    def give(self, secret: str, account: AccountId, *scopes: Scope) -> str:
        key_id = KeyId(f"key{len(self.made)}")
        self.by_secret[secret] = Principal(
            account, frozenset(scopes), Method.API_KEY, key_id=key_id
        )
        self.made[key_id] = ApiKey(key_id, account, frozenset(scopes), NOON_MS, None)
        return secret

    async def create(self, account: AccountId, scopes: frozenset[Scope]) -> NewApiKey:
        secret = self.give(f"dvk_{len(self.made)}", account, *scopes)
        return NewApiKey(self.made[KeyId(f"key{len(self.made) - 1}")], secret)

    async def list(self, account: AccountId) -> tuple[ApiKey, ...]:
        return tuple(key for key in self.made.values() if key.account == account)

    async def revoke(self, account: AccountId, key_id: KeyId) -> None:
        key = self.made.get(key_id)
        if key is None or key.account != account:
            raise NotFound("there is no such key")
        del self.made[key_id]
        gone = [s for s, principal in self.by_secret.items() if principal.key_id == key_id]
        for secret in gone:
            del self.by_secret[secret]


@dataclass
class MemoryAuth:
    """Bearer keys, and for `Signature` whoever the address header names, without a proof."""

    keys: MemoryKeys

    async def identify(self, credentials: Credentials) -> Principal | None:
        scheme, _, rest = credentials.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer":
            return await self.identify_key(rest)
        if scheme == "Signature":
            if rest == "0xbad":
                raise Unauthenticated("this is not the wallet's signature")
            address = Address(credentials.headers["X-Wallet-Address"])
            scopes = frozenset(Scope) - {Scope.OWNER, Scope.NODE}
            return Principal(AccountId(address.lower()), scopes, Method.WALLET, address)
        return None

    async def identify_key(self, secret: str, *, address: str = "") -> Principal:
        try:
            return self.keys.by_secret[secret]
        except KeyError:
            raise Unauthenticated("there is no such key") from None

    async def with_owner(self, principal: Principal) -> Principal:
        if principal.method is Method.WALLET and principal.address == OWNER:
            return replace(principal, scopes=principal.scopes | {Scope.OWNER})
        return principal

    def check_content(self, claimed_sha256: str, fields: Mapping[str, str], cid: Cid) -> None:
        if claimed_sha256 != form_digest(fields, cid):
            raise Unauthenticated("the form is not the one that was signed")

    async def challenge(self, address: Address) -> Challenge:
        return Challenge(f"sign in as {address}", "abcdef1234567890", NOON_MS)

    async def verify(self, message: str, signature: str, scopes: frozenset[Scope]) -> NewApiKey:
        if not message.startswith("sign in as "):
            raise Unauthenticated("this is not a message of ours")
        if Scope.NODE in scopes:
            raise Forbidden("only operators")
        account = AccountId(message.removeprefix("sign in as ").lower())
        return await self.keys.create(account, scopes or frozenset({Scope.READ, Scope.INFER}))


class MemoryCredit:
    async def balance(self, account: AccountId) -> Balance:
        return Balance(Wei(145 * 10**18 + 5 * 10**17), Wei(10**17))


class FreeLimits:
    """Counts nothing."""

    async def count(
        self, dialect: str, rate_class: str, rate: Rate, caller: str, *, spends: bool
    ) -> LimitState:
        return replace(LIMIT, limit=rate.n_calls)

    async def state(
        self, dialect: str, rate_class: str, rate: Rate, caller: str, *, spends: bool
    ) -> LimitState:
        return replace(LIMIT, limit=rate.n_calls)

    async def count_tokens(self, caller: str, n_tokens: int) -> LimitState:
        return LIMIT

    async def token_state(self, caller: str) -> LimitState:
        return LIMIT


class MemoryIdempotency:
    def __init__(self) -> None:
        self._kept: dict[tuple[AccountId, str], tuple[bytes, StoredReply | None]] = {}

    async def begin(
        self, account: AccountId, key: str, digest: bytes, *, joins: bool
    ) -> StoredReply | Attempt:
        found = self._kept.get((account, key))
        if found is None:
            self._kept[account, key] = digest, None
            return Attempt(new_task_id(), is_new=True, is_mine=True)
        if found[0] != digest or found[1] is None:
            raise Conflict("the key is in use")
        return found[1]

    async def finish(self, account: AccountId, key: str, reply: StoredReply) -> None:
        self._kept[account, key] = self._kept[account, key][0], reply

    async def let_go(self, account: AccountId, key: str) -> None:
        self._kept.pop((account, key), None)

    async def abandon(self, account: AccountId, key: str) -> None:
        self._kept.pop((account, key), None)


@dataclass
class MemoryTopUps:
    is_credited: bool = True
    payments: list[SignedPayment] = field(default_factory=list)

    async def payee(self) -> Address:
        return OWNER

    async def relay(self, payment: SignedPayment) -> TopUp:
        self.payments.append(payment)
        return TopUp(TxHash("0x" + "ab" * 32), ASKER, Wei(15 * 10**17), self.is_credited)
