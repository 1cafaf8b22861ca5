"""Who asks: an account, what it may do, and how it proved that."""

from dataclasses import dataclass
from enum import StrEnum

from decentralized_vllm.protocol.ids import Address
from dvllm_gateway.errors import Forbidden
from dvllm_gateway.ids import AccountId, KeyId


class Scope(StrEnum):
    READ = "read"  # status and own data
    INFER = "infer"  # spend on inference
    DEPLOY = "deploy"  # upload models
    NODE = "node"  # resources and configuration of the operator's node
    WALLET = "wallet"  # balance, credits, keys
    OWNER = "owner"  # proved against the contract at each request, never granted


class Method(StrEnum):
    API_KEY = "api_key"
    WALLET = "wallet"


@dataclass(frozen=True, slots=True)
class Principal:
    """`address` is the wallet that the account belongs to, if it belongs to one."""

    account: AccountId
    scopes: frozenset[Scope]
    method: Method
    address: Address | None = None
    key_id: KeyId | None = None

    def require(self, scope: Scope) -> None:
        """Raises Forbidden."""
        if scope not in self.scopes:
            raise Forbidden(f"this needs the scope {scope.value!r}")
