"""docs/contracts.md tells the gas that tests/snapshots/gas.json holds."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROWS = {
    "submit_prompt": "`submitPrompt(promptCID, modelId)`",
    "submit_response": "`submitResponse(jobId, responseCID)`",
    "submit_response_usage": "`submitResponse` by usage, with the request digest",
    "permit_deposit_submit": "permit + deposit + submit in one `multicall`",
}


@pytest.mark.parametrize(("name", "row"), ROWS.items())
def test_documented_gas__of_the_hot_path__is_the_measured_one(name, row):
    measured = json.loads((ROOT / "tests/snapshots/gas.json").read_text())
    page = (ROOT / "docs/contracts.md").read_text(encoding="utf-8")
    told = re.search(re.escape(f"| {row} | ") + r"([\d,]+) \|", page)
    assert told is not None
    assert told[1] == f"{measured[name]:,}"
