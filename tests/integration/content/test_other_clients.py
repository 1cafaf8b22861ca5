"""Other people's clients, unchanged, against `content serve`; each in a throw-away environment."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cid_vectors import load_vectors, write_sample
from tests.support.content_process import serving

pytestmark = pytest.mark.long

TREE = load_vectors()["cids"]["tree"]
SUPPORT = Path(__file__).parents[2] / "support"
INSTALL_TIMEOUT_S = 240


def install(command: list[str], folder: Path) -> None:
    """Skips the test, with the reason, where the package can't be had."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"{' '.join(command[-2:])} failed: {done.stderr.strip()[-300:]}")


def call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "all calls ok\n", done.stdout + done.stderr


def test_ipfshttpclient__every_call__works(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    install([python, "-m", "pip", "install", "-q", "ipfshttpclient==0.8.0a2"], tmp_path)
    tree = write_sample("tree", tmp_path)
    with serving(tmp_path / "store") as (urls, _):
        address = f"/ip4/127.0.0.1/tcp/{urls['api_url'].rpartition(':')[2]}"
        script = str(SUPPORT / "ipfshttpclient_calls.py")
        call([python, script, address, str(tree), TREE["v0"], TREE["v1"]])


def test_kubo_rpc_client__every_call__works(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    install(["npm", "install", "--no-audit", "--no-fund", "kubo-rpc-client@7.1.0"], tmp_path)
    tree = write_sample("tree", tmp_path)
    # Beside the installed package: imports are looked up from the script's own folder.
    script = shutil.copy(SUPPORT / "kubo_rpc_client_calls.mjs", tmp_path / "calls.mjs")
    with serving(tmp_path / "store") as (urls, _):
        call(["node", str(script), urls["api_url"], str(tree), TREE["v1"]])
