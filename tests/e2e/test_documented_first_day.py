"""What README.md and docs/first-node.md show a newcomer works as written, ports aside."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.devnet_process import TINY_MODEL, free_port_settings, running
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120
PROGRAMS = {
    "dvllm": "decentralized_vllm.cli",
    "worker": "dvllm_worker.cli",
}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    env = {**os.environ, **TINY_MODEL, **free_port_settings(), "ENGINE": "null", "WORKERS": "1"}
    home = tmp_path_factory.mktemp("first-day") / ".devnet"
    with running(home, "up", env=env) as devnet:
        yield devnet, devnet.wait_for_manifest()


@pytest.fixture
def folder(network, tmp_path, monkeypatch):
    (tmp_path / ".devnet").symlink_to(network[0].home)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def shown(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def run(folder, *command, **environment):
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def filled_in(text, manifest):
    """The reader's part: addresses, ports, key and the name of a model that exists."""
    key = next(a.private_key for a in manifest.accounts if a.name == "requester")
    for placeholder, value in (
        ('contract_address="0x..."', f'contract_address="{manifest.contracts.coordinator}"'),
        ('private_key="0x..."', f'private_key="{key}"'),
        ("http://localhost:8545", manifest.rpc_url),
        ("http://127.0.0.1:8545", manifest.rpc_url),
        ("ws://127.0.0.1:8545", manifest.ws_url),
        ("http://127.0.0.1:8081", manifest.ipfs_gateway),
        ("smollm2-135m-instruct", manifest.models[0].id),
    ):
        text = text.replace(placeholder, value)
    return text


def test_six_lines_of_the_readme__as_a_program__print_an_answer(network, folder):
    (snippet,) = shown("README.md", "python")
    done = run(folder, "-c", filled_in(snippet, network[1]))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_first_node__command_by_command__is_a_node(network, folder):
    _, money, orders, _ = shown("docs/first-node.md", "bash")
    (settings,) = shown("docs/first-node.md", "toml")
    manifest = network[1]
    assert f'contract_address = "{manifest.contracts.coordinator}"' in settings
    key = re.search(r"^KEY=(0x\w+)$", money, re.MULTILINE)[1]
    assert f'private_key = "{key}"' in settings
    faucet = re.search(r"^DVLLM_CLIENT__PRIVATE_KEY=\$KEY (dvllm .+)$", money, re.MULTILINE)[1]
    order(folder, faucet, DVLLM_CLIENT__PRIVATE_KEY=key)
    (folder / "worker.toml").write_text(filled_in(settings, manifest))
    *steps, start = filled_in(orders, manifest).splitlines()
    port = free_port()
    for step in steps:
        order(
            folder,
            step.replace("8090", str(port)),
            DVLLM_WORKER__HTTP__PORT=str(port),
            DVLLM_WORKER__ENGINE__KIND="null",
        )
    assert start == "worker start"


def order(folder, line, **environment):
    program, *arguments = line.split()
    main = f"from {PROGRAMS[program]} import main; main()"
    done = run(folder, "-c", main, *arguments, **environment)
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
