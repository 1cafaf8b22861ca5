"""Which scopes an account may have."""

from collections.abc import Collection

from dvllm_gateway.errors import Forbidden
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.principals import Scope

DEFAULT_SCOPES = frozenset({Scope.READ, Scope.INFER})
_OF_ANYONE = DEFAULT_SCOPES | {Scope.WALLET}
_OF_OPERATORS = _OF_ANYONE | {Scope.NODE, Scope.DEPLOY}


class ScopePolicy:
    """`operators` are the accounts that may run the node and upload models."""

    def __init__(self, operators: Collection[AccountId] = ()) -> None:
        self._operators = frozenset(operators)

    def grantable(self, account: AccountId) -> frozenset[Scope]:
        return _OF_OPERATORS if account in self._operators else _OF_ANYONE

    def granted(self, account: AccountId, wished: frozenset[Scope]) -> frozenset[Scope]:
        """What was wished, or the default if nothing was. Raises Forbidden."""
        scopes = wished or DEFAULT_SCOPES
        refused = scopes - self.grantable(account)
        if refused:
            names = ", ".join(sorted(refused))
            raise Forbidden(f"this account may not have the scope {names}", field="scopes")
        return scopes
