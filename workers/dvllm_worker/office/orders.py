"""An operator's orders as they reach a worker that runs: JSON, by path."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from decentralized_vllm.protocol.ids import ModelId, Wei
from dvllm_worker.office.enlistment import Enlistment, ProfileWish
from dvllm_worker.office.treasury import Told, Treasury

AmountWei = Annotated[int, Field(ge=0, lt=2**256, description="also as decimal text")]


@dataclass(frozen=True, slots=True)
class Offices:
    """Where orders are carried out."""

    treasury: Treasury
    enlistment: Enlistment


class Order(BaseModel, ABC):
    """Done by whichever process holds the key: the command itself, or the worker it asks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: ClassVar[str]

    @abstractmethod
    async def done_by(self, offices: Offices) -> Told:
        """Raises as the office that does it."""


class StakeOrder(Order):
    path = "/stake"

    amount_wei: AmountWei

    async def done_by(self, offices: Offices) -> Told:
        return await offices.treasury.stake(Wei(self.amount_wei))


class UnstakeOrder(Order):
    path = "/unstake"

    amount_wei: AmountWei

    async def done_by(self, offices: Offices) -> Told:
        return await offices.treasury.unstake(Wei(self.amount_wei))


class WithdrawOrder(Order):
    """Of earnings; without an amount all of them. `of_stake`: all that has cooled down instead."""

    path = "/withdraw"

    amount_wei: AmountWei | None = None
    of_stake: bool = False

    async def done_by(self, offices: Offices) -> Told:
        if self.of_stake:
            return await offices.treasury.withdraw_stake()
        amount_wei = None if self.amount_wei is None else Wei(self.amount_wei)
        return await offices.treasury.withdraw_earnings(amount_wei)


class RegisterOrder(Order, ProfileWish):
    path = "/register"

    async def done_by(self, offices: Offices) -> Told:
        return await offices.enlistment.register(self)


class ServeModelOrder(Order):
    """Or the end of that: `leave`."""

    path = "/serve-model"

    model_id: str
    leave: bool = False

    async def done_by(self, offices: Offices) -> Told:
        if self.leave:
            return await offices.enlistment.leave(ModelId(self.model_id))
        return await offices.enlistment.serve(ModelId(self.model_id))


class DeregisterOrder(Order):
    path = "/deregister"

    async def done_by(self, offices: Offices) -> Told:
        return await offices.enlistment.deregister()


ORDERS: tuple[type[Order], ...] = (
    StakeOrder,
    UnstakeOrder,
    WithdrawOrder,
    RegisterOrder,
    ServeModelOrder,
    DeregisterOrder,
)
