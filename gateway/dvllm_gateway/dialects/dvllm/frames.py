"""What clients say on this dialect's WebSocket; all of it is ours, the document asks nothing."""

from typing import Annotated, Literal

from pydantic import Field

from dvllm_gateway.dialects.dvllm.schemas import WalletAddress
from dvllm_gateway.dialects.dvllm.wire import Wire

MAX_NAMES = 32


class KeyAuth(Wire):
    type: Literal["auth"]
    token: Annotated[str, Field(min_length=1, max_length=4096)]


class WalletAuth(Wire):
    """Signs a GET of the socket's own path. `timestamp` is Unix seconds."""

    type: Literal["auth"]
    address: WalletAddress
    signature: Annotated[str, Field(max_length=8192)]
    timestamp: Annotated[int, Field(ge=0)]
    nonce: Annotated[str, Field(max_length=64)]


class Subscribe(Wire):
    """`events` None is all of them; `after` is the cursor of the last frame that was read."""

    type: Literal["subscribe"]
    events: Annotated[list[str], Field(max_length=MAX_NAMES)] | None = None
    after: Annotated[int, Field(ge=0)] | None = None


class Ping(Wire):
    type: Literal["ping"]


ClientFrame = KeyAuth | WalletAuth | Subscribe | Ping
