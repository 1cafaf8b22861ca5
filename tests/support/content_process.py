"""The `content` commands in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMAND = [
    sys.executable,
    "-c",
    "from decentralized_vllm.content.cli import content; content(prog_name='content')",
]


@contextmanager
def serving(store: Path) -> Iterator[tuple[dict[str, Any], "subprocess.Popen[bytes]"]]:
    ports = ["--api-port", "0", "--gateway-port", "0", "--json"]
    process = subprocess.Popen(
        [*COMMAND, "serve", *ports, "--store", str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline()), process
    finally:
        process.kill()
        process.communicate()
