"""Wallets that are contracts, in a few bytes of code, and how to put them on an anvil."""

from dataclasses import dataclass

from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

from decentralized_vllm.protocol.ids import Address
from tests.support.anvil import Anvil

# The "deterministic deployment proxy", which every anvil brings: salt and code in, CREATE2.
FACTORY = Address("0x4e59b44847b379578588920cA78FbF26c0B4956C")
MAGIC = bytes.fromhex("1626ba7e")
UNDEPLOYED_SUFFIX = bytes.fromhex("6492") * 16

RETURN_WORD = bytes.fromhex("60005260206000f3")  # the word on the stack
LOOP_FOR_EVER = bytes.fromhex("5b600056")
REVERT_WITH_MAGIC = b"\x7f" + MAGIC + bytes(28) + bytes.fromhex("60005260206000fd")
RETURN_MAGIC_AND_MORE = b"\x7f" + MAGIC + bytes(27) + b"\x01" + RETURN_WORD
RETURN_ONE = bytes.fromhex("6001") + RETURN_WORD
INVALID = b"\xfe"
IDENTITY_PRECOMPILE = Address("0x0000000000000000000000000000000000000004")


def owned_by(owner: Address) -> bytes:
    """The code of a wallet that accepts what the key of `owner` signed (65 bytes: r, s, v)."""
    return b"".join(
        [
            bytes.fromhex("600435600052"),  # hash to memory 0
            bytes.fromhex("60a43560f81c602052"),  # v: the first byte behind r and s
            bytes.fromhex("606435604052608435606052"),  # r and s
            bytes.fromhex("602060806080600060015afa50"),  # ecrecover to memory 0x80
            bytes.fromhex("60805173") + to_canonical_address(owner) + b"\x14",  # whether it is
            bytes.fromhex("63") + MAGIC + bytes.fromhex("60e01b02"),  # shifted left, times 0 or 1
            RETURN_WORD,
        ]
    )


def creation_of(code: bytes) -> bytes:
    """What deploys `code`: copies all that follows itself."""
    return (
        bytes.fromhex("61") + len(code).to_bytes(2, "big") + bytes.fromhex("80600a5f395ff3") + code
    )


@dataclass(frozen=True)
class Undeployed:
    """A wallet that FACTORY would put at `address`."""

    address: Address
    deployment: bytes

    @classmethod
    def of(cls, code: bytes, salt: bytes = bytes(32)) -> "Undeployed":
        creation = creation_of(code)
        packed = b"\xff" + to_canonical_address(FACTORY) + salt + keccak(creation)
        return cls(Address(to_checksum_address(keccak(packed)[-20:])), salt + creation)

    def wrap(self, signature: bytes, factory: Address = FACTORY) -> bytes:
        """By EIP-6492."""
        content = encode(["address", "bytes", "bytes"], [factory, self.deployment, signature])
        return content + UNDEPLOYED_SUFFIX


def put_code(anvil: Anvil, address: Address, code: bytes) -> Address:
    anvil.call("anvil_setCode", address, "0x" + code.hex())
    return address


def deploy(anvil: Anvil, wallet: Undeployed, sender: Address) -> None:
    """Mined when it returns: anvil mines by itself only a moment after it has answered."""
    transaction = {"from": sender, "to": FACTORY, "data": "0x" + wallet.deployment.hex()}
    anvil.call("eth_sendTransaction", transaction)
    anvil.call("evm_mine")


def sign(key: LocalAccount, message: SignableMessage) -> bytes:
    return bytes(key.sign_message(message).signature)


def new_wallet_address() -> Address:
    return Address(Account.create().address)
