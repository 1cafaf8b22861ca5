"""An operator's orders about the node's tokens, as they reach a worker that runs: JSON, by path."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from decentralized_vllm.protocol.ids import Wei
from dvllm_worker.treasury import Told, Treasury

AmountWei = Annotated[int, Field(ge=0, lt=2**256, description="also as decimal text")]


class Order(BaseModel, ABC):
    """Done by whichever process holds the key: the command itself, or the worker it asks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: ClassVar[str]

    @abstractmethod
    async def done_by(self, treasury: Treasury) -> Told:
        """Raises as the treasury does."""


class StakeOrder(Order):
    path = "/stake"

    amount_wei: AmountWei

    async def done_by(self, treasury: Treasury) -> Told:
        return await treasury.stake(Wei(self.amount_wei))


class UnstakeOrder(Order):
    path = "/unstake"

    amount_wei: AmountWei

    async def done_by(self, treasury: Treasury) -> Told:
        return await treasury.unstake(Wei(self.amount_wei))


class WithdrawOrder(Order):
    """Of earnings; without an amount all of them. `of_stake`: all that has cooled down instead."""

    path = "/withdraw"

    amount_wei: AmountWei | None = None
    of_stake: bool = False

    async def done_by(self, treasury: Treasury) -> Told:
        if self.of_stake:
            return await treasury.withdraw_stake()
        amount_wei = None if self.amount_wei is None else Wei(self.amount_wei)
        return await treasury.withdraw_earnings(amount_wei)


ORDERS: tuple[type[Order], ...] = (StakeOrder, UnstakeOrder, WithdrawOrder)
