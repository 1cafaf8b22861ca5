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
def serving(
    store: Path, *, api_port: int = 0, gateway_port: int = 0
) -> Iterator[tuple[dict[str, Any], "subprocess.Popen[bytes]"]]:
    ports = ["--api-port", str(api_port), "--gateway-port", str(gateway_port), "--json"]
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
