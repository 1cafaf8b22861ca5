"""Whether an answer can still arrive in time. All times are chain time, in seconds."""

from dataclasses import dataclass

SEARCH_SHARE = 0.6  # of what is left of a lease, at most; the engine needs the rest


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """`reserve_s` is kept for one transaction, the delivery or the failJob, to be mined."""

    deadline_s: float
    reserve_s: float

    def work_s(self, now_s: float) -> float:
        """What is left for fetching, generating and publishing; 0 when nothing is."""
        return max(0.0, self.deadline_s - self.reserve_s - now_s)

    def search_s(self, now_s: float, patience_s: float) -> tuple[float, float]:
        """How long a prompt is looked for: where somebody can be asked, and at most."""
        longest_s = SEARCH_SHARE * self.work_s(now_s)
        return min(patience_s, longest_s), longest_s

    def fits(self, now_s: float, estimate_s: float) -> bool:
        return estimate_s <= self.work_s(now_s)

    def can_send(self, now_s: float) -> bool:
        """A delivery mined after the deadline reverts, so it is not even sent then."""
        return now_s < self.deadline_s
