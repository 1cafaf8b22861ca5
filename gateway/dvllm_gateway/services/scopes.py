"""Which scopes an account may have."""

from collections.abc import Collection, Iterable
from typing import Self

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.errors import Forbidden, InvalidRequest
from dvllm_gateway.ids import AccountId, read_account_id
from dvllm_gateway.services.principals import Scope

DEFAULT_SCOPES = frozenset({Scope.READ, Scope.INFER})
_OF_ANYONE = DEFAULT_SCOPES | {Scope.WALLET}
_OF_OPERATORS = _OF_ANYONE | {Scope.NODE, Scope.DEPLOY}


class ScopePolicy:
    """`operators` are the accounts that may run the node and upload models."""

    def __init__(self, operators: Collection[AccountId] = ()) -> None:
        self._operators = frozenset(operators)

    @classmethod
    def of(cls, operators: Iterable[str]) -> Self:
        """Addresses and names as a person writes them. Raises SettingError."""
        try:
            return cls([read_account_id(text) for text in operators])
        except InvalidRequest as error:
            raise SettingError("auth.operators", error.message) from error

    def grantable(self, account: AccountId) -> frozenset[Scope]:
        return _OF_OPERATORS if account in self._operators else _OF_ANYONE

    def granted(self, account: AccountId, wished: frozenset[Scope]) -> frozenset[Scope]:
        """What was wished, or the default if nothing was. Raises Forbidden."""
        scopes = wished or DEFAULT_SCOPES
        refused = scopes - self.grantable(account)
        if refused:
            names = ", ".join(sorted(refused))
            raise Forbidden(
                f"this account may not have the scope {names}",
                details="deploy and node are for the accounts that auth.operators names",
                field="scopes",
            )
        return scopes
