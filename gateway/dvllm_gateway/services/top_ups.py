"""Top-ups: a wallet signs a payment to the gateway, which puts it on chain and pays for the gas."""

from dataclasses import dataclass
from typing import Protocol

from decentralized_vllm.protocol.authorizations import SignedAuthorization
from decentralized_vllm.protocol.ids import Address, TxHash, Wei
from decentralized_vllm.protocol.permits import SignedPermit
from dvllm_gateway.ids import AccountId


@dataclass(frozen=True, slots=True)
class PermittedTransfer:
    """`owner` lets the gateway's address draw the permit's whole value (EIP-2612)."""

    owner: Address
    permit: SignedPermit


SignedPayment = SignedAuthorization | PermittedTransfer


@dataclass(frozen=True, slots=True)
class TopUp:
    """`account` is that of the wallet that signed, whoever brought the signature.

    `is_credited` False: it is on its way, and needs nobody to wait for it.
    """

    tx_hash: TxHash
    account: AccountId
    amount_wei: Wei
    is_credited: bool


class TopUps(Protocol):
    async def payee(self) -> Address:
        """Whom a payment has to name."""

    async def relay(self, payment: SignedPayment) -> TopUp:
        """Sends it once, however often it is asked for. Waits a while for the credit.

        Raises InvalidRequest, TransactionRejected (the token's contract refuses it), NoCapacity
        and NetworkUnavailable.
        """
