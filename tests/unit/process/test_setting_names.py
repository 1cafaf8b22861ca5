"""What the library calls a setting, told as a program's operator writes it."""

import pytest

from decentralized_vllm.process.checks import refused_check
from decentralized_vllm.process.setting_names import message_by_sections
from decentralized_vllm.protocol.errors import (
    ChainUnavailable,
    DvllmError,
    KeyInUse,
    NoContract,
    SettingError,
    WrongChain,
)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NoContract("contract_address", "is none"), "chain.contract_address: is none"),
        (WrongChain("eth_node_url", "serves chain 1"), "chain.eth_node_url: serves chain 1"),
        (ChainUnavailable("eth_node_url: no answer: x"), "chain.eth_node_url: no answer: x"),
        (SettingError("private_key", "is no key"), "key.private_key: is no key"),
        (SettingError("keystore", "is no keystore"), "key.keystore: is no keystore"),
        (SettingError("passphrase", "does not open it"), "key.passphrase_file: does not open it"),
        (SettingError("ipfs_host", "is none"), "content.ipfs_host: is none"),
        (KeyInUse("private_key", "is in use"), "key: is in use"),
        (KeyInUse("data_dir", "is in use"), "data_dir: is in use"),
        (SettingError("listen.host", "is none"), "listen.host: is none"),
        (ChainUnavailable("nobody answers"), "nobody answers"),
    ],
)
def test_setting__of_the_library__has_its_section(error: DvllmError, told: str) -> None:
    assert message_by_sections(error) == told


def test_setting__of_a_program_s_own_name__goes_by_that() -> None:
    error = SettingError("database", "can not be used")
    assert message_by_sections(error, {"database": "data_dir"}) == "data_dir: can not be used"
    assert message_by_sections(error) == "database: can not be used"


def test_doctor__of_what_the_library_refuses__names_the_section() -> None:
    check = refused_check("chain", SettingError("contract_address", "is none", hint="look"))

    assert (check.finding, check.mends) == ("chain.contract_address: is none", ("look",))
    assert not check.is_ok
