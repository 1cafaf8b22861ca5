"""EIP-4361, "Sign-In with Ethereum": the text that a wallet signs to log in, made and read.

Pure form: whether a message is meant for this server, and still, is its reader's to decide.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from eth_account.messages import SignableMessage, encode_defunct
from eth_utils.address import is_checksum_address

from decentralized_vllm.protocol.errors import InvalidSignature
from decentralized_vllm.protocol.ids import Address

MAX_MESSAGE_CHARACTERS = 4096

# Of RFC 3986 and RFC 3339. Every class is one character or one escape: reading is linear.
_TEXT = r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;= ]*"
_URI = r"[A-Za-z][A-Za-z0-9+.\-]*:(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"
_AUTHORITY = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@\[\]]|%[0-9A-Fa-f]{2})+"
_PCHARS = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*"
_TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_MESSAGE = re.compile(
    rf"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://)?(?P<domain>{_AUTHORITY})"
    r" wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9A-Fa-f]{40})\n\n"
    rf"(?:(?P<statement>{_TEXT})\n)?\n"
    rf"URI: (?P<uri>{_URI})\n"
    r"Version: 1\n"
    r"Chain ID: (?P<chain_id>0|[1-9][0-9]{0,77})\n"
    r"Nonce: (?P<nonce>[A-Za-z0-9]{8,128})\n"
    rf"Issued At: (?P<issued_at>{_TIME})"
    rf"(?:\nExpiration Time: (?P<expiration_time>{_TIME}))?"
    rf"(?:\nNot Before: (?P<not_before>{_TIME}))?"
    rf"(?:\nRequest ID: (?P<request_id>{_PCHARS}))?"
    rf"(?:\nResources:(?P<resources>(?:\n- {_URI})*))?"
)


@dataclass(frozen=True, slots=True)
class SiweMessage:
    """Times are RFC 3339 texts as they were written; `instant_s` reads them. None: not given."""

    domain: str
    address: Address
    uri: str
    chain_id: int
    nonce: str
    issued_at: str
    scheme: str | None = None
    statement: str | None = None
    expiration_time: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] | None = None

    def text(self) -> str:
        """What is signed. Raises InvalidSignature for fields that the form can not carry."""
        text = "\n".join([*self._head(), *self._fields(), *self._options()])
        if parse(text) != self:
            raise InvalidSignature("a field of the login message holds what its form can not carry")
        return text

    def _head(self) -> list[str]:
        origin = self.domain if self.scheme is None else f"{self.scheme}://{self.domain}"
        statement = [] if self.statement is None else [self.statement]
        title = f"{origin} wants you to sign in with your Ethereum account:"
        return [title, self.address, "", *statement, ""]

    def _fields(self) -> list[str]:
        return [
            f"URI: {self.uri}",
            "Version: 1",
            f"Chain ID: {self.chain_id}",
            f"Nonce: {self.nonce}",
            f"Issued At: {self.issued_at}",
        ]

    def _options(self) -> list[str]:
        options = {
            "Expiration Time": self.expiration_time,
            "Not Before": self.not_before,
            "Request ID": self.request_id,
        }
        lines = [f"{name}: {value}" for name, value in options.items() if value is not None]
        if self.resources is not None:
            lines += ["Resources:", *(f"- {resource}" for resource in self.resources)]
        return lines


def parse(text: str) -> SiweMessage:
    """Raises InvalidSignature for a text of any other form, whoever signed it."""
    found = None
    if len(text) <= MAX_MESSAGE_CHARACTERS:
        found = _MESSAGE.fullmatch(text)
    if found is None or not is_checksum_address(found["address"]):
        raise InvalidSignature("not an EIP-4361 message of a checksummed address")
    for name in ("issued_at", "expiration_time", "not_before"):
        if found[name] is not None:
            instant_s(found[name])
    return _message(found)


def _message(found: re.Match[str]) -> SiweMessage:
    resources = found["resources"]
    return SiweMessage(
        domain=found["domain"],
        address=Address(found["address"]),
        uri=found["uri"],
        chain_id=int(found["chain_id"]),
        nonce=found["nonce"],
        issued_at=found["issued_at"],
        scheme=found["scheme"],
        statement=found["statement"],
        expiration_time=found["expiration_time"],
        not_before=found["not_before"],
        request_id=found["request_id"],
        resources=None if resources is None else tuple(resources.split("\n- ")[1:]),
    )


def instant_s(time: str) -> float:
    """Unix seconds of an RFC 3339 text. Raises InvalidSignature for a day that does not exist."""
    try:
        return datetime.fromisoformat(time.upper()).timestamp()
    except (ValueError, OverflowError):
        raise InvalidSignature("a time of the login message is none of the calendar") from None


def signable(text: str) -> SignableMessage:
    """The message as wallets sign it, by EIP-191."""
    return encode_defunct(text=text)
