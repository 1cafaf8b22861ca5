"""The bodies about logins, keys and credit, for which the documents have none."""

from typing import Annotated

from pydantic import Field, field_validator

from dvllm_gateway.dialects.dvllm.schemas import WalletAddress
from dvllm_gateway.dialects.dvllm.wire import Wire
from dvllm_gateway.services.principals import Scope


class ChallengeBody(Wire):
    address: WalletAddress


class ChallengeReply(Wire):
    message: str
    nonce: str
    expires_at: str


class VerifyBody(Wire):
    """`scopes` default to read and infer."""

    message: Annotated[str, Field(min_length=1, max_length=4096)]
    signature: Annotated[str, Field(min_length=4, max_length=8192, pattern=r"^0x[0-9a-fA-F]+$")]
    scopes: Annotated[list[str], Field(min_length=1, max_length=len(Scope))] | None = None

    @field_validator("scopes")
    @classmethod
    def _known(cls, scopes: list[str] | None) -> list[str] | None:
        if scopes is not None and not set(scopes) <= set(Scope):
            raise ValueError(f"must be some of {', '.join(Scope)}")
        return scopes


class VerifyReply(Wire):
    """`api_key` is shown here once and never again."""

    api_key: str
    key_id: str
    scopes: list[str]


class KeyItem(Wire):
    key_id: str
    scopes: list[str]
    created_at: str
    last_used_at: str | None


class KeysReply(Wire):
    keys: list[KeyItem]


class CreditReply(Wire):
    """Amounts in tokens as exact decimal text, and the same in wei.

    `payee` is whom a top-up pays; null where top-ups are not taken.
    """

    available: str
    reserved: str
    available_wei: str
    reserved_wei: str
    payee: str | None
