"""Values of fixed size as Solidity's abi.encode lays them out: 32 bytes each, one after the other.

By hand, since a general encoder looks up and checks each type anew, and digests of jobs are made
many times for each.
"""

from functools import lru_cache

from eth_utils.crypto import keccak

from decentralized_vllm.protocol.ids import Address

WORD_BYTES = 32
TEXTS_KEPT = 1024


def number(value: int) -> bytes:
    """A uint256. Raises OverflowError for what is none."""
    return value.to_bytes(WORD_BYTES, "big")


def address(value: Address) -> bytes:
    return bytes.fromhex(value[2:]).rjust(WORD_BYTES, b"\0")


@lru_cache(maxsize=TEXTS_KEPT)
def text_digest(text: str) -> bytes:
    """Names of models come again with every job."""
    return keccak(text.encode())
