"""What `decentralized_vllm` exports: exactly this, importable, and cheap until it is used."""

import subprocess
import sys

import pytest

import decentralized_vllm

HEAVY = ("aiohttp", "eth_account", "sqlalchemy", "pydantic", "rich", "web3")


def imported_by(program: str) -> set[str]:
    listing = "import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; {listing}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("name", decentralized_vllm.__all__)
def test_exported_name__is_importable_and_public(name):
    assert getattr(decentralized_vllm, name).__name__ == name


def test_exported_names__are_sorted_and_shown():
    assert decentralized_vllm.__all__ == sorted(set(decentralized_vllm.__all__))
    assert dir(decentralized_vllm) == decentralized_vllm.__all__


def test_other_name__is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'web4'"):
        decentralized_vllm.web4  # noqa: B018


def test_import_of_the_package__costs_next_to_nothing():
    assert imported_by("import decentralized_vllm").isdisjoint(HEAVY)


def test_import_of_client__leaves_chain_database_and_signatures_for_later():
    names = imported_by("from decentralized_vllm import Client")
    assert names.isdisjoint({"web3", "sqlalchemy", "eth_account", "aiohttp", "rich"})


def test_help_of_the_command__imports_none_of_what_commands_need():
    program = "from decentralized_vllm.cli import main; main(['--help'], standalone_mode=False)"
    assert imported_by(program).isdisjoint(HEAVY)
