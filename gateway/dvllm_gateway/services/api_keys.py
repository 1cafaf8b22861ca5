"""API keys: `dvk_<8 public characters>_<43 secret ones>`, of which only a keyed hash is kept."""

import hashlib
import hmac
import re
import secrets
import string
import time
from collections.abc import Callable

from dvllm_gateway.errors import NotFound
from dvllm_gateway.ids import AccountId, KeyId, wallet_of
from dvllm_gateway.services.identity import ApiKey, NewApiKey
from dvllm_gateway.services.principal_cache import PrincipalCache
from dvllm_gateway.services.principals import Method, Principal, Scope
from dvllm_gateway.services.scopes import ScopePolicy
from dvllm_gateway.services.stores import ApiKeyStore, StoredKey

SECRET_BYTES = 32  # 43 characters of base64url
PUBLIC_CHARACTERS = 8
USE_NOTED_EVERY_MS = 60_000

_PUBLIC_ALPHABET = string.ascii_letters + string.digits
_ID = re.compile(r"[A-Za-z0-9]{8}")
_FORM = re.compile(rf"dvk_({_ID.pattern})_[A-Za-z0-9_-]{{43}}")
_NO_HASH = bytes(32)


class ApiKeyService:
    """The port ApiKeys, and who a key stands for.

    `server_secret` keys the hashes: without it, who reads the database can not even test a guess.
    Gateways that share a database share the secret. `cache` bounds how long a key that another
    process has revoked stays good here.
    """

    def __init__(
        self,
        store: ApiKeyStore,
        policy: ScopePolicy,
        server_secret: bytes,
        *,
        cache: PrincipalCache | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._policy = policy
        self._server_secret = server_secret
        self._mark_key = secrets.token_bytes(hashlib.blake2b.MAX_KEY_SIZE)
        self._cache = cache or PrincipalCache()
        self._clock = clock

    async def create(self, account: AccountId, scopes: frozenset[Scope]) -> NewApiKey:
        """Raises Forbidden for scopes that the account may not have."""
        granted = self._policy.granted(account, scopes)
        while True:
            key = ApiKey(_new_id(), account, granted, self._now_ms(), last_used_at_ms=None)
            secret = f"dvk_{key.id}_{secrets.token_urlsafe(SECRET_BYTES)}"
            if await self._store.add(StoredKey(key, self._hash(secret))):
                return NewApiKey(key, secret)

    async def list(self, account: AccountId) -> tuple[ApiKey, ...]:
        return await self._store.list(account)

    async def revoke(self, account: AccountId, key_id: KeyId) -> None:
        """Raises NotFound, also for what no id can be: not every database can be asked for that."""
        if _ID.fullmatch(key_id) is None or not await self._store.revoke(account, key_id):
            raise NotFound("there is no such key")
        self._cache.drop(key_id)

    async def principal_of(self, secret: str) -> Principal | None:
        """None for anything but a key in force, whatever is wrong with it."""
        form = _FORM.fullmatch(secret)
        if form is None:
            return None
        key_id = KeyId(form[1])
        cached = self._cache.get(key_id)
        if cached is None:
            return await self._read(key_id, secret)
        is_right = hmac.compare_digest(cached.mark, self._mark(secret))
        return cached.principal if is_right else None

    async def _read(self, key_id: KeyId, secret: str) -> Principal | None:
        stored = await self._store.find(key_id)
        kept = _NO_HASH if stored is None else stored.hash  # unknown ones take as long
        if not hmac.compare_digest(kept, self._hash(secret)) or stored is None:
            return None
        principal = self._principal(stored.key)
        self._cache.put(key_id, self._mark(secret), principal)
        await self._note_use(stored.key)
        return principal

    def _principal(self, key: ApiKey) -> Principal:
        """Who is no longer an operator loses an operator's scopes, also in keys made before."""
        return Principal(
            account=key.account,
            scopes=key.scopes & self._policy.grantable(key.account),
            method=Method.API_KEY,
            address=wallet_of(key.account),
            key_id=key.id,
        )

    async def _note_use(self, key: ApiKey) -> None:
        now_ms = self._now_ms()
        last_ms = key.last_used_at_ms
        if last_ms is None or now_ms - last_ms >= USE_NOTED_EVERY_MS:
            await self._store.note_use(key.id, now_ms)

    def _hash(self, secret: str) -> bytes:
        return hmac.digest(self._server_secret, secret.encode(), "sha256")

    def _mark(self, secret: str) -> bytes:
        """Also keyed, but for this process only: each call makes one, in a third of the time."""
        return hashlib.blake2b(secret.encode(), key=self._mark_key, digest_size=32).digest()

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _new_id() -> KeyId:
    return KeyId("".join(secrets.choice(_PUBLIC_ALPHABET) for _ in range(PUBLIC_CHARACTERS)))
