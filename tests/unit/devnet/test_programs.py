import pytest

from decentralized_vllm.protocol.errors import MissingProgram
from dvllm_devnet import programs


@pytest.mark.parametrize(
    ("system", "machine", "package"),
    [
        ("Linux", "x86_64", "@foundry-rs/anvil-linux-amd64"),
        ("Linux", "aarch64", "@foundry-rs/anvil-linux-arm64"),
        ("Darwin", "arm64", "@foundry-rs/anvil-darwin-arm64"),
        ("Windows", "AMD64", None),
        ("Linux", "riscv64", None),
    ],
)
def test_platform_package__known_or_not__is_named_or_none(system, machine, package):
    assert programs.platform_package(system, machine) == package


def test_find_anvil__package_installed__is_preferred_to_path(tmp_path, monkeypatch):
    monkeypatch.setattr(programs.platform, "system", lambda: "Linux")
    monkeypatch.setattr(programs.platform, "machine", lambda: "x86_64")
    anvil = tmp_path / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
    anvil.parent.mkdir(parents=True)
    anvil.touch()
    assert programs.find_anvil(tmp_path) == anvil


def test_find_anvil__platform_without_it__error_names_the_mend(tmp_path, monkeypatch):
    monkeypatch.setattr(programs.platform, "system", lambda: "Windows")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgram, match=r"anvil: .*Windows.*install Foundry"):
        programs.find_anvil(tmp_path)


def test_find_anvil__only_on_path__is_used(tmp_path, monkeypatch):
    anvil = tmp_path / "anvil"
    anvil.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert programs.find_anvil(tmp_path / "elsewhere") == anvil
