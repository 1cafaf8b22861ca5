"""Who calls an operation that needs a scope: routing has checked that there is somebody."""

from typing import Any

from dvllm_gateway.errors import Unauthenticated
from dvllm_gateway.http.operation import Call
from dvllm_gateway.services.principals import Principal


def caller_of(call: Call[Any, Any]) -> Principal:
    """Raises Unauthenticated."""
    if call.principal is None:
        raise Unauthenticated("this needs an API key or a wallet's signature")
    return call.principal
