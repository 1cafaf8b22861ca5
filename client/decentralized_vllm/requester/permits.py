"""Permits of one account for the coordinator, signed with the token's next nonce."""

import asyncio

from eth_account.signers.local import LocalAccount

from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.permit import sign_permit
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.permits import Permit, SignedPermit

PERMIT_VALID_S = 3600


class Permits:
    """Hold `planning` from the look at credit and wallet until what draws on them is mined."""

    def __init__(self, network: Network, account: LocalAccount) -> None:
        self._network = network
        self._account = account
        self.planning = asyncio.Lock()

    async def sign(self, amount_wei: Wei) -> SignedPermit:
        """Lets the coordinator draw `amount_wei` from the wallet, once, within the hour."""
        owner = Address(self._account.address)
        token = self._network.token
        domain, nonce, now_s = await asyncio.gather(
            token.domain(), token.permit_nonce(owner), self._network.jobs.chain_time_s()
        )
        permit = Permit(
            owner=owner,
            spender=self._network.coordinator.address,
            value_wei=amount_wei,
            nonce=nonce,
            deadline_s=now_s + PERMIT_VALID_S,
        )
        return sign_permit(self._account, domain, permit)
