"""What logins keep, in memory, for tests of what stands on it."""

from dataclasses import replace

from decentralized_vllm.protocol.ids import Address
from dvllm_gateway.ids import AccountId, KeyId
from dvllm_gateway.services.identity import ApiKey
from dvllm_gateway.services.stores import IssuedNonce, StoredKey


class MemoryApiKeyStore:
    """The port ApiKeyStore; `n_reads` and `n_uses` count what cost a transaction."""

    def __init__(self) -> None:
        self.n_reads = 0
        self.n_uses = 0
        self._keys: dict[KeyId, StoredKey] = {}
        self._revoked: set[KeyId] = set()

    async def add(self, stored: StoredKey) -> bool:
        return self._keys.setdefault(stored.key.id, stored) is stored

    async def find(self, key_id: KeyId) -> StoredKey | None:
        self.n_reads += 1
        return None if key_id in self._revoked else self._keys.get(key_id)

    async def list(self, account: AccountId) -> tuple[ApiKey, ...]:
        return tuple(
            stored.key
            for key_id, stored in self._keys.items()
            if stored.key.account == account and key_id not in self._revoked
        )

    async def revoke(self, account: AccountId, key_id: KeyId) -> bool:
        stored = self._keys.get(key_id)
        if stored is None or stored.key.account != account or key_id in self._revoked:
            return False
        self._revoked.add(key_id)
        return True

    async def note_use(self, key_id: KeyId, at_ms: int) -> None:
        self.n_uses += 1
        stored = self._keys[key_id]
        self._keys[key_id] = replace(stored, key=replace(stored.key, last_used_at_ms=at_ms))


class MemoryRequestNonceStore:
    """The port RequestNonceStore."""

    def __init__(self) -> None:
        self._until_ms: dict[tuple[Address, str], int] = {}

    async def spend(self, address: Address, nonce: str, *, now_ms: int, until_ms: int) -> bool:
        self._until_ms = {k: until for k, until in self._until_ms.items() if until >= now_ms}
        if (address, nonce) in self._until_ms:
            return False
        self._until_ms[address, nonce] = until_ms
        return True


class MemoryLoginNonceStore:
    """The port LoginNonceStore."""

    def __init__(self) -> None:
        self._issued: dict[str, IssuedNonce] = {}

    async def issue(self, issued: IssuedNonce, *, now_ms: int) -> None:
        self._issued = {k: one for k, one in self._issued.items() if one.expires_at_ms >= now_ms}
        self._issued[issued.nonce] = issued

    async def take(self, nonce: str) -> IssuedNonce | None:
        return self._issued.pop(nonce, None)
