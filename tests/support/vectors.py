"""The vectors that Python, Solidity and TypeScript share."""

import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parents[1] / "vectors"


def load(name: str) -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return vectors


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
