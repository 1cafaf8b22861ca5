"""The ABIs and the code that the library brings along."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
ABI = ROOT / "client" / "decentralized_vllm" / "chain" / "abi"


def exported(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ABI / f"{name}.json").read_text())
    return document
