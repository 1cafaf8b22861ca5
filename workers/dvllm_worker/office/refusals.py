"""What the contracts refuse, in an operator's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from decentralized_vllm.protocol.errors import ContractRevert, DvllmError, InsufficientFunds
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.units import format_tokens
from dvllm_worker.duty import NotReady


@contextmanager
def told_plainly(node: Address) -> Iterator[None]:
    """Raises NotReady and InsufficientFunds for the reverts that an operator's order can meet."""
    try:
        yield
    except ContractRevert as revert:
        plain = _plain(revert, node)
        if plain is None:
            raise
        raise plain from revert


def _plain(revert: ContractRevert, node: Address) -> DvllmError | None:
    match revert.name, revert.error_args:
        case (("NotNode" | "NodeUnknown"), ()):
            return NotReady(f"{node} is not registered", hint="run `worker register`")
        case "InsufficientStake", (free_wei, wanted_wei):
            return InsufficientFunds(
                f"{format_tokens(free_wei)} tokens of the stake are free, "
                f"{format_tokens(wanted_wei)} are asked for",
                hint="unsettled work locks ten times its worth; `worker status` shows it",
            )
        case "TooEarly", (from_s,):
            return NotReady(
                f"this stake stays until {_moment(from_s)}",
                hint="a cool-down or a lock-up has to end first; try again then",
            )
    return None


def _moment(time_s: int) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
