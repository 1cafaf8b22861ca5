"""Prepaid credit: what accounts have, what the operator gives them, and the ledger of it all."""

from collections.abc import Callable

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.errors import InvalidRequest, NotFound
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.clock import unix_ms
from dvllm_gateway.services.ports import Balance
from dvllm_gateway.services.stores import Account, AccountPage, AccountStore, LedgerPage

MOST_GRANTED_WEI = Wei(10**48)
MAX_REASON_CHARACTERS = 500


class PrepaidCredit:
    """The port Credit, and what the operator's commands need beside it."""

    def __init__(self, store: AccountStore, *, clock_ms: Callable[[], int] = unix_ms) -> None:
        self._store = store
        self._clock_ms = clock_ms

    async def balance(self, account: AccountId) -> Balance:
        """Of an unknown account: nothing."""
        return await self._store.balance(account)

    async def grant(self, account: AccountId, amount_wei: Wei, *, reason: str) -> Balance:
        """By the operator; a negative amount takes back. Makes an unknown account.

        Raises InvalidRequest, and InsufficientBalance where more is taken than is available.
        """
        if not 0 < abs(amount_wei) <= MOST_GRANTED_WEI:
            raise InvalidRequest("this is no sensible amount of tokens", field="amount")
        if not reason.strip() or len(reason) > MAX_REASON_CHARACTERS:
            raise InvalidRequest(
                f"say why, in at most {MAX_REASON_CHARACTERS} characters", field="reason"
            )
        return await self._store.grant(
            account, amount_wei, reason=reason.strip(), at_ms=self._clock_ms()
        )

    async def account(self, account: AccountId) -> Account:
        """Raises NotFound."""
        found = await self._store.find(account)
        if found is None:
            raise NotFound("there is no such account")
        return found

    async def accounts(self, *, limit: int, offset: int = 0) -> AccountPage:
        return await self._store.list(limit=limit, offset=offset)

    async def history(self, account: AccountId, *, limit: int, offset: int = 0) -> LedgerPage:
        """Newest first."""
        return await self._store.history(account, limit=limit, offset=offset)
