"""What a bench prints: a table for people and, with JSON=1, one JSON object as its last line."""

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Goal:
    kind: Literal["at most", "at least"]
    value: float

    def is_met_by(self, value: float) -> bool:
        return value <= self.value if self.kind == "at most" else value >= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `name` is its key in the JSON form."""

    name: str
    value: float
    unit: str
    goal: Goal | None = None

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        met = "met" if self.goal.is_met_by(self.value) else "missed"
        return f"{self.goal.kind} {self.goal.value:g}: {met}"


def at_most(value: float) -> Goal:
    return Goal("at most", value)


def at_least(value: float) -> Goal:
    return Goal("at least", value)


def percentile(values: Iterable[float], percent: float) -> float:
    """Nearest rank: a value that was really measured."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def show(title: str, figures: Sequence[Figure]) -> None:
    print(title)
    for figure in figures:
        print(f"  {figure.name:<28}{figure.value:>12,.3f} {figure.unit:<8}{figure.verdict}")
    if os.environ.get("JSON"):
        print(json.dumps({figure.name: round(figure.value, 6) for figure in figures}), flush=True)
