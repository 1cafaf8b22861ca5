"""Content identifiers: CIDv0 and CIDv1, raw and dag-pb, sha2-256; text in base58btc and base32.

Other hashes, codecs and bases are refused: nothing here writes them, and every kind accepted is a
kind that has to be verified.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from functools import lru_cache

from decentralized_vllm.protocol.errors import ContentMismatch, InvalidCid
from decentralized_vllm.protocol.ids import Cid

RAW = 0x55
DAG_PB = 0x70
CODEC_NAMES = {RAW: "raw", DAG_PB: "dag-pb"}

CIDS_KEPT = 4096  # each is taken apart and put together several times on its way

_MULTIHASH_HEAD = b"\x12\x20"  # sha2-256, 32 bytes
_MULTIHASH_SIZE = 34
_MAX_TEXT_LENGTH = 64  # the longest form accepted: 'b' + base32 of 36 bytes is 59
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_DIGITS = {char: digit for digit, char in enumerate(_BASE58)}


@dataclass(frozen=True, slots=True)
class ParsedCid:
    """One CID taken apart. Two CIDs of the same block have the same `multihash`."""

    version: int
    codec: int
    digest: bytes  # 32 bytes of sha2-256

    @property
    def multihash(self) -> bytes:
        return _MULTIHASH_HEAD + self.digest

    def to_bytes(self) -> bytes:
        if self.version == 0:
            return self.multihash
        return bytes((1, self.codec)) + self.multihash

    def text(self) -> Cid:
        """The usual text: base58btc for version 0, base32 for version 1."""
        return _text_of(self)

    def as_v1(self) -> "ParsedCid":
        return ParsedCid(1, self.codec, self.digest)


@lru_cache(maxsize=CIDS_KEPT)
def _text_of(cid: ParsedCid) -> Cid:
    if cid.version == 0:
        return Cid(encode_base58(cid.multihash))
    return Cid("b" + base64.b32encode(cid.to_bytes()).decode().lower().rstrip("="))


@lru_cache(maxsize=CIDS_KEPT)
def parse_cid(text: str) -> ParsedCid:
    """Raises InvalidCid, which says what is wrong with the text."""
    if not text or len(text) > _MAX_TEXT_LENGTH:
        raise InvalidCid(f"a CID has 1 to {_MAX_TEXT_LENGTH} characters, this has {len(text)}")
    if len(text) == 46 and text.startswith("Qm"):
        return parse_cid_bytes(_decode_base58(text))
    if text.startswith("b"):
        parsed = parse_cid_bytes(_decode_base32(text[1:]))
    elif text.startswith("z"):
        parsed = parse_cid_bytes(_decode_base58(text[1:]))
    else:
        raise InvalidCid(f"{text!r} is not a CID in base58btc (Qm…, z…) or base32 (b…)")
    if parsed.version == 0:
        raise InvalidCid("a CIDv0 is written without a multibase prefix")
    return parsed


def parse_cid_bytes(data: bytes) -> ParsedCid:
    """Raises InvalidCid."""
    if len(data) == _MULTIHASH_SIZE and data.startswith(_MULTIHASH_HEAD):
        return ParsedCid(0, DAG_PB, bytes(data[2:]))
    if len(data) != _MULTIHASH_SIZE + 2 or data[0] != 1:
        raise InvalidCid("not a CID of version 0 or 1 with a sha2-256 hash")
    if data[1] not in CODEC_NAMES:
        raise InvalidCid(f"codec 0x{data[1]:x} is not supported, only raw and dag-pb are")
    if data[2:4] != _MULTIHASH_HEAD:
        raise InvalidCid("only sha2-256 of 32 bytes is supported")
    return ParsedCid(1, data[1], bytes(data[4:]))


def hash_block(block: bytes | memoryview, *, version: int, codec: int) -> ParsedCid:
    return ParsedCid(version, codec, hashlib.sha256(block).digest())


def check_block(cid: ParsedCid, block: bytes) -> None:
    """Raises ContentMismatch unless the block hashes to its CID."""
    if hashlib.sha256(block).digest() != cid.digest:
        raise ContentMismatch(f"{len(block)} bytes do not hash to {cid.text()}")


def is_block_of(cid: str, data: bytes) -> bool:
    """Whether `cid` names a file of one block, and these are its bytes."""
    try:
        parsed = parse_cid(cid)
    except InvalidCid:
        return False
    return parsed.codec == RAW and hashlib.sha256(data).digest() == parsed.digest


def encode_base58(data: bytes) -> str:
    number, chars = int.from_bytes(data, "big"), []
    while number:
        number, digit = divmod(number, 58)
        chars.append(_BASE58[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(chars))


def _decode_base58(text: str) -> bytes:
    number = 0
    for char in text:
        if char not in _BASE58_DIGITS:
            raise InvalidCid(f"{char!r} is not a base58btc character")
        number = number * 58 + _BASE58_DIGITS[char]
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _decode_base32(text: str) -> bytes:
    try:
        data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError) as error:
        raise InvalidCid(f"{text!r} is not base32: {error}") from error
    # b32decode ignores spare bits and case; a CID has one spelling only.
    if base64.b32encode(data).decode().lower().rstrip("=") != text:
        raise InvalidCid(f"{text!r} is not canonical lower-case base32")
    return data
