"""The library as people install it: a wheel in an empty environment, outside the checkout."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.test_documented_client import filled_in, snippets
from tests.support.devnet_process import TINY_MODEL, free_port_settings, running

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]


def run(*command, cwd, **environment):
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
    run(*build, ROOT / "client", cwd=folder)
    (found,) = folder.glob("decentralized_vllm_client-*.whl")
    return found


@pytest.fixture(scope="module")
def empty_environment(wheel, tmp_path_factory):
    """Only the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("outside")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    pip = (folder / "venv/bin/python", "-m", "pip", "install", "--quiet")
    subprocess.run([*pip, wheel, "-c", ROOT / "constraints.txt"], cwd=folder, check=True)
    return folder


def test_wheel__holds_the_library_its_abis_and_its_types_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "decentralized_vllm/py.typed" in names
    assert "decentralized_vllm/chain/abi/InferenceCoordinator.json" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    roots = {name.partition("/")[0] for name in names}
    assert all(re.fullmatch(r"decentralized_vllm(_client-.*\.dist-info)?", root) for root in roots)


def test_basic_usage__from_the_wheel__runs_as_written(empty_environment, tmp_path):
    env = {**os.environ, **TINY_MODEL, **free_port_settings(), "ENGINE": "null", "WORKERS": "1"}
    (snippet,) = snippets("Basic usage")
    with running(tmp_path / ".devnet", "up", env=env) as devnet:
        program = filled_in(snippet, devnet.wait_for_manifest(), "requester")
        (empty_environment / "program.py").write_text(program)
        done = run(
            empty_environment / "venv/bin/python",
            *("-I", "-W", "error", "program.py"),
            cwd=empty_environment,
        )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Response: ")
    assert lines[-1] == "tiny: Tiny"
    assert done.stderr == ""


def test_dvllm__from_the_wheel__shows_its_help(empty_environment):
    done = run(empty_environment / "venv/bin/dvllm", "--help", cwd=empty_environment)
    assert "submit" in done.stdout
