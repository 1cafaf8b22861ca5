"""The examples say what is missing where no local network runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.docs.pages import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example__without_a_network__names_the_way_to_one(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "no local network runs in this folder: start one with `make devnet`\n"
