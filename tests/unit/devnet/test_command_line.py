"""`dvllm-devnet` before it runs anything."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from dvllm_devnet import cli

NAMES_HEAVY = """
import sys
import dvllm_devnet.cli
print([name for name in ("web3", "eth_account", "dvllm_devnet.network") if name in sys.modules])
"""


def test_start__imports_what_takes_its_time_only_where_ctrl_c_is_told_in_a_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NAMES_HEAVY], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_import_of_a_command__interrupted__is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("decentralized_vllm.process.lazy_group.import_module", interrupted)
    told = CliRunner().invoke(cli.main, ["demo"])
    assert (told.exit_code, told.output) == (130, "interrupted\n")


@pytest.mark.parametrize("command", ["up", "demo"])
def test_help_of_a_command__shows_examples(command: str) -> None:
    told = CliRunner().invoke(cli.main, [command, "-h"])
    assert told.exit_code == 0
    assert f"dvllm-devnet {command}" in told.output
