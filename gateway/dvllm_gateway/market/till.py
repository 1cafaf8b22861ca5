"""Keeps the gateway's credit inside the coordinator filled, and knows what of it is spoken for."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.units import format_tokens, tokens
from decentralized_vllm.requester.purse import Purse
from decentralized_vllm.requester.tasks import Balance
from dvllm_gateway.errors import NoCapacity
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.latest import Latest

log = logging.getLogger(__name__)

NOTHING = Wei(0)
NO_GAS_S = 30.0
LOW_WEI = tokens(20)
FULL_WEI = tokens(100)


@dataclass(frozen=True, slots=True)
class TillSettings:
    """Credit below `low_wei` is filled up to `full_wei` from the key's wallet, as far as that goes.

    Seconds: money is looked at every `look_every_s`, a task waits for it up to `patience_s`.
    """

    low_wei: Wei = LOW_WEI
    full_wei: Wei = FULL_WEI
    look_every_s: float = 2.0
    patience_s: float = 10.0


@dataclass(slots=True)
class _NoGas:
    """Compares with the balance at the first look after the refusal."""

    until_s: float
    at_wei: Wei | None = None

    def is_over(self, gas_wei: Wei) -> bool:
        if self.at_wei is None:
            self.at_wei = gas_wei
        return gas_wei > self.at_wei or time.monotonic() >= self.until_s


class Till:
    """`run` must run. A submission is `promised` from before it is sent until it is `settled`:
    mined, or known never to be."""

    def __init__(
        self, purse: Purse, read_balance: Callable[[], Awaitable[Balance]], settings: TillSettings
    ) -> None:
        self._purse = purse
        self._read_balance = read_balance
        self._settings = settings
        self._balance: Balance | None = None
        self._promises: dict[TaskId, Wei] = {}
        self._spent_unseen_wei = 0
        self._awaited_wei = 0
        self._looks: Latest[int] = Latest(0)
        self._is_wanted = asyncio.Event()
        self._no_gas: _NoGas | None = None
        self._has_complained = False

    @property
    def free_wei(self) -> int:
        """What new submissions can be paid with; too low rather than too high."""
        credit_wei = NOTHING if self._balance is None else self._balance.credit_wei
        return credit_wei - sum(self._promises.values()) - self._spent_unseen_wei

    def require(self, escrow_wei: Wei) -> None:
        """Raises NoCapacity when neither credit nor wallet will cover it."""
        balance = self._balance
        if balance is None:
            raise NoCapacity("the gateway's money was not read yet", retry_after_s=2)
        if self._no_gas is not None:
            raise NoCapacity("the gateway cannot pay for gas now", retry_after_s=30)
        if self.free_wei + balance.wallet_wei < escrow_wei:
            self._complain(balance)
            raise NoCapacity("the gateway cannot pay for jobs now", retry_after_s=30)

    async def promise(self, task_id: TaskId, escrow_wei: Wei) -> None:
        """Waits until credit covers it. Raises NoCapacity when it does not in time."""
        self.require(escrow_wei)
        if self.free_wei < escrow_wei:
            await self._until_free(escrow_wei)
        self._note_promise(task_id, escrow_wei)

    def promise_now(self, task_id: TaskId, escrow_wei: Wei) -> bool:
        """As `promise` where that waits for nothing; False, and no promise, where it would."""
        if self._balance is None or self._no_gas is not None or self.free_wei < escrow_wei:
            return False
        self._note_promise(task_id, escrow_wei)
        return True

    def _note_promise(self, task_id: TaskId, escrow_wei: Wei) -> None:
        self._promises[task_id] = escrow_wei
        if self.free_wei < self._settings.low_wei:
            self._is_wanted.set()

    async def _until_free(self, escrow_wei: Wei) -> None:
        self._awaited_wei += escrow_wei
        try:
            async with asyncio.timeout(self._settings.patience_s):
                while self.free_wei < escrow_wei:
                    self._is_wanted.set()
                    await self._looks.after(self._looks.value)
        except TimeoutError:
            raise NoCapacity("the gateway's credit is being filled up", retry_after_s=5) from None
        finally:
            self._awaited_wei -= escrow_wei

    def promised_before(self, task_id: TaskId, escrow_wei: Wei) -> None:
        """A former process sent it; whether it is mined is not known yet."""
        self._promises[task_id] = escrow_wei

    def settled(self, task_id: TaskId) -> None:
        """What it took is seen in the credit that is read from now on."""
        self._spent_unseen_wei += self._promises.pop(task_id, NOTHING)

    def look_soon(self) -> None:
        self._is_wanted.set()

    def short_of_gas(self) -> None:
        """A submission was refused for it. Over when the key has got some, or may have."""
        if self._no_gas is None:
            self._no_gas = _NoGas(until_s=time.monotonic() + NO_GAS_S)
            self.look_soon()

    async def run(self) -> None:
        """Until cancelled. What goes wrong is logged and tried again at the next look."""
        while True:
            try:
                await self.look()
                await self._fill_up()
            except DvllmError as error:
                log.warning("credit_not_filled", extra={"reason": str(error)})
                await asyncio.sleep(self._settings.look_every_s)
            self._is_wanted.clear()
            try:
                async with asyncio.timeout(self._settings.look_every_s):
                    await self._is_wanted.wait()
            except TimeoutError:
                pass

    async def look(self) -> None:
        seen_wei = self._spent_unseen_wei
        balance = await self._read_balance()
        self._spent_unseen_wei -= seen_wei
        self._balance = balance
        if self._no_gas is not None and self._no_gas.is_over(balance.gas_wei):
            self._no_gas = None
        self._looks.set(self._looks.value + 1)

    async def _fill_up(self) -> None:
        balance = self._balance
        if balance is None or self.free_wei >= self._settings.low_wei + self._awaited_wei:
            return
        wanted_wei = self._settings.full_wei + self._awaited_wei - self.free_wei
        amount_wei = Wei(min(wanted_wei, balance.wallet_wei))
        if amount_wei <= 0:
            self._complain(balance)
            return
        await self._purse.deposit(amount_wei)
        self._has_complained = False
        log.info("credit_filled", extra={"tokens": format_tokens(amount_wei)})
        await self.look()

    def _complain(self, balance: Balance) -> None:
        """Once, until there is money again."""
        if not self._has_complained:
            self._has_complained = True
            log.error(
                "gateway_out_of_money: send tokens to %s; its credit is %s, its wallet holds %s",
                balance.account,
                format_tokens(balance.credit_wei),
                format_tokens(balance.wallet_wei),
            )
