"""What tests of dialects are told of: accounts, a model, a node."""

from decentralized_vllm.protocol.ids import Address, Cid, ModelId
from decentralized_vllm.protocol.jobs import Terms
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.network import Model, Peer
from dvllm_gateway.services.ports import (
    LimitState,
)

NOON_MS = 1_704_110_400_000  # 2024-01-01T12:00:00Z
WORKER = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
OWNER = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
PROMPT_CID = Cid("bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")
RESPONSE_CID = Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
ASKER = AccountId("0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc")
OTHER = AccountId("0x90f79bf6eb2c4f870365e785982e1f101e93b906")
TERMS = Terms(10**5, 10**6, 10**7, 10**9, 30, 60, 512, 128)
MODEL = Model(
    ModelId("gpt-3.5-turbo"), "GPT-3.5 Turbo", "Fast", RESPONSE_CID, True, NOON_MS // 1000, TERMS
)
LIMIT = LimitState(100, 99, 3600)
PEERS = (
    Peer(WORKER, "192.0.2.100:30303", True, NOON_MS),
    Peer(OWNER, "192.0.2.101:30303", False, None),
)
