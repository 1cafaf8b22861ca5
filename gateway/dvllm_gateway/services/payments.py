"""Pay per request: what a request may cost, paid by whoever sends it and spent on it at once."""

from dataclasses import dataclass
from typing import Protocol

from decentralized_vllm.protocol.authorizations import SignedAuthorization
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.permits import TokenDomain
from dvllm_gateway.services.top_ups import TopUp


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """Exactly `amount_wei` of `token`, to `payee`, signed to be mined within `timeout_s`."""

    payee: Address
    token: TokenDomain
    amount_wei: Wei
    timeout_s: int


class Payments(Protocol):
    async def terms(self, price_wei: Wei) -> PaymentTerms:
        """For a request of that price; never less than is worth the gas."""

    async def collect(self, signed: SignedAuthorization, terms: PaymentTerms) -> TopUp:
        """Credits the payer's account. A payment is collected once: then it says nothing more.

        Raises InvalidRequest for another payment than `terms` ask, for one that was seen before or
        that its payer did not sign; TransactionRejected where the token refuses it; NoCapacity and
        NetworkUnavailable.
        """
