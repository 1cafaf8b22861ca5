"""Whether an answer can still arrive in time. All times are chain time, in seconds."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from decentralized_vllm.protocol.generation import Usage

MIN_SAMPLES = 5
WINDOW = 64


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """`reserve_s` is kept for one transaction, the delivery or the failJob, to be mined."""

    deadline_s: float
    reserve_s: float

    def work_s(self, now_s: float) -> float:
        """What is left for fetching, generating and publishing; 0 when nothing is."""
        return max(0.0, self.deadline_s - self.reserve_s - now_s)

    def fits(self, now_s: float, estimate_s: float) -> bool:
        return estimate_s <= self.work_s(now_s)

    def can_send(self, now_s: float) -> bool:
        """A delivery mined after the deadline reverts, so it is not even sent then."""
        return now_s < self.deadline_s


@dataclass(frozen=True, slots=True)
class Speed:
    """One finished generation."""

    elapsed_s: float
    usage: Usage

    @property
    def tokens_per_s(self) -> float:
        return self.usage.n_output_tokens / max(self.elapsed_s, 1e-3)


class SpeedBook:
    """The last generations of one model, from which the time of the next is estimated."""

    def __init__(self) -> None:
        self._speeds: deque[Speed] = deque(maxlen=WINDOW)

    def add(self, elapsed_s: float, usage: Usage) -> None:
        if usage.n_output_tokens > 0:
            self._speeds.append(Speed(elapsed_s, usage))

    def slow_tokens_per_s(self) -> float | None:
        """The speed that 95 % of the last generations reached; None before there are enough."""
        if len(self._speeds) < MIN_SAMPLES:
            return None
        return lowest_of_best(0.95, (speed.tokens_per_s for speed in self._speeds))

    def estimate_s(self, max_tokens: int) -> float:
        """How long an answer of `max_tokens` takes at worst; 0 while nothing is known."""
        slow = self.slow_tokens_per_s()
        return max_tokens / slow if slow else 0.0


def lowest_of_best(share: float, values: Iterable[float]) -> float:
    """The smallest of the largest `share` of the values."""
    ordered = sorted(values, reverse=True)
    return ordered[max(0, round(share * len(ordered)) - 1)]
