"""A store belongs to one process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.protocol.errors import KeyInUse


def test_open__other_process_holds_it__names_the_setting(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from decentralized_vllm.content.local import *\n"
        "store = LocalStore(Path(sys.argv[1])); store.open()\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(KeyInUse) as caught:
            LocalStore(tmp_path, setting="content.store").open()
        assert caught.value.setting == "content.store"
    finally:
        other.communicate("")
    store = LocalStore(tmp_path)
    store.open()
    store.close()
