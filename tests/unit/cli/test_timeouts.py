"""How long a command may wait is checked before anything is asked or paid for."""

import pytest
from click.testing import CliRunner

from decentralized_vllm.cli.main import main


@pytest.mark.parametrize("seconds", ["nan", "-1"])
@pytest.mark.parametrize("command", [["submit", "Hi"], ["embed", "Hi"], ["job", "1"]])
def test_timeout__no_time_to_wait__is_refused(command: list[str], seconds: str) -> None:
    told = CliRunner().invoke(main, [*command, "--timeout", seconds])

    assert told.exit_code == 2
    assert "'--timeout'" in told.output
