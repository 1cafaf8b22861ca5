"""Which chain this is: the id alone does not tell one local chain from the next."""

from dataclasses import dataclass

from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.protocol.errors import ChainUnavailable

LOCAL_CHAIN_IDS = frozenset({1337, 31337})


@dataclass(frozen=True, slots=True)
class ChainIdentity:
    chain_id: int
    genesis_hash: str

    def __str__(self) -> str:
        return f"{self.chain_id}:{self.genesis_hash}"

    @property
    def is_local(self) -> bool:
        return self.chain_id in LOCAL_CHAIN_IDS


async def chain_identity(rpc: Rpc) -> ChainIdentity:
    block = await rpc.call("eth_getBlockByNumber", "0x0", False)
    if block is None:
        raise ChainUnavailable("the RPC endpoint does not show the first block")
    return ChainIdentity(rpc.chain_id, block["hash"])
