"""Which logs a feed tells of: whose they are, and what they mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from decentralized_vllm.chain.codec import contract_abi
from decentralized_vllm.chain.log_decoder import RawLog, decode_log, known_topics, log_position
from decentralized_vllm.protocol.events import ChainEvent, TokensTransferred
from decentralized_vllm.protocol.ids import Address

# As eth_getLogs takes it: a topic, several to choose from, or any, in each place.
TopicFilter = Sequence[str | Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class LogSource:
    """Logs of the contract at `address` that match `topics`; `decode` gives None for no event."""

    address: Address
    topics: TopicFilter
    decode: Callable[[RawLog], ChainEvent | None]


def coordinator_logs(address: Address) -> LogSource:
    """All events of a coordinator that this library acts on."""
    return LogSource(address, (known_topics(),), decode_log)


def tokens_received(token: Address, recipient: Address) -> LogSource:
    """Every transfer of the token to `recipient`."""
    event = contract_abi("NetworkToken").events["Transfer"]

    def decode(log: RawLog) -> ChainEvent | None:
        if log.get("removed"):
            return None
        values = event.decode(log["topics"], bytes.fromhex(log["data"][2:]))
        return TokensTransferred(log_position(log), *values)

    return LogSource(token, (event.topic, None, _padded(recipient)), decode)


def _padded(address: Address) -> str:
    return f"0x{int(address, 16):064x}"
