"""What an RPC endpoint answers when it does not answer with a result."""

from decentralized_vllm.protocol.errors import ChainUnavailable

# "limit exceeded" (EIP-1474), and what hosted endpoints put there instead.
RATE_LIMIT_CODES = frozenset({429, -32005, -32007, -32029})

# "internal error" and "resource unavailable" (EIP-1474), and what nodes say that lack a state.
_FAULT_CODES = frozenset({-32603, -32002})
_LACKING = ("header not found", "block not found", "unknown block", "missing trie node")


class RpcError(ChainUnavailable):
    """A JSON-RPC error object. `data` holds what a reverted call returned, if anything."""

    def __init__(self, code: int, reason: str, data: bytes | None = None) -> None:
        super().__init__(f"the RPC endpoint answered {code}: {reason}")
        self.code = code
        self.reason = reason
        self.data = data

    @property
    def is_rate_limit(self) -> bool:
        return self.code in RATE_LIMIT_CODES

    @property
    def is_fault(self) -> bool:
        """The trouble is the endpoint's, not the request's: another one may well answer it."""
        if self.is_rate_limit:
            return True
        is_lacking = any(piece in self.reason.lower() for piece in _LACKING)
        return not self.is_revert and (is_lacking or self.code in _FAULT_CODES)

    @property
    def is_revert(self) -> bool:
        """Execution was tried and reverted; another endpoint would say the same."""
        return self.code == 3 or self.data is not None or "revert" in self.reason.lower()


def rpc_error(answer: object) -> RpcError:
    """Reads an error object, however loosely it keeps to the standard."""
    if not isinstance(answer, dict):
        return RpcError(-32603, str(answer)[:200])
    code = answer.get("code")
    return RpcError(
        code if isinstance(code, int) else -32603,
        str(answer.get("message", ""))[:500],
        _revert_data(answer.get("data")),
    )


def _revert_data(data: object) -> bytes | None:
    """Some nodes wrap the bytes once more, in {"data": "0x…"}."""
    if isinstance(data, dict):
        data = data.get("data")
    if not isinstance(data, str) or not data.startswith("0x"):
        return None
    try:
        return bytes.fromhex(data[2:])
    except ValueError:
        return None
