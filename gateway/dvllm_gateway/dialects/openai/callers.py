"""The account behind a call that the router let in."""

from typing import Any

from dvllm_gateway.errors import Unauthenticated
from dvllm_gateway.http.operation import Call
from dvllm_gateway.ids import AccountId


def account_of(call: Call[Any, Any]) -> AccountId:
    """Raises Unauthenticated: money is spent in somebody's name."""
    if call.principal is None:
        raise Unauthenticated("this needs an API key")
    return call.principal.account
