from pathlib import Path

import pytest

from decentralized_vllm.process.own_key import check_key_may_be_raw, load_key
from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.apis import _rates
from dvllm_gateway.services.ports import Rate
from dvllm_gateway.serving import own_origins
from dvllm_gateway.settings import GatewaySettings, KeySection, load_settings
from dvllm_gateway.trading import client_settings, till_settings

KEY = "0x" + "11" * 32


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of the developer's is read."""
    monkeypatch.chdir(tmp_path)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    return path


def test_settings__without_any__have_the_documented_ports(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, ""), {})

    listen = settings.listen
    assert (listen.dvllm_port, listen.dvllm_ws_port, listen.unified_port) == (8001, 8546, 8088)
    assert (listen.admin_host, listen.admin_port) == ("127.0.0.1", 9464)
    assert settings.http.cors_origins == ()


def test_settings__from_file_environment_and_flags__win_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "[listen]\ndvllm_port = 1\ndvllm_ws_port = 1\nunified_port = 1\n")
    monkeypatch.setenv("DVLLM_GATEWAY__LISTEN__DVLLM_WS_PORT", "2")
    monkeypatch.setenv("DVLLM_GATEWAY__LISTEN__UNIFIED_PORT", "2")
    listen = load_settings(path, {"listen": {"unified_port": 3}}).listen

    assert (listen.dvllm_port, listen.dvllm_ws_port, listen.unified_port) == (1, 2, 3)


def test_lists__in_the_environment__have_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVLLM_GATEWAY__HTTP__CORS_ORIGINS", "https://a.example, https://b.example")

    assert load_settings(None, {}).http.cors_origins == ("https://a.example", "https://b.example")
    monkeypatch.setenv("DVLLM_GATEWAY__HTTP__CORS_ORIGINS", "*")
    assert load_settings(None, {}).http.cors_origins == ("*",)


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("[listen]\ndvllm_port = 70000", "listen.dvllm_port"),
        ("[listen]\nno_such = 1", "listen.no_such"),
        ('[http]\ntrusted_proxies = ["everybody"]', "http.trusted_proxies"),
        ('[http]\ncors_origins = ["https://page.example/"]', "http.cors_origins"),
        ('[http]\ncors_origins = ["page.example"]', "http.cors_origins"),
        ('[http]\ncors_origins = ["https://Page.example"]', "http.cors_origins"),
        ("log_level = 3", "log_level"),
        ("not toml", "gateway.toml"),
    ],
)
def test_settings__that_are_wrong__are_named(tmp_path: Path, text: str, setting: str) -> None:
    with pytest.raises(SettingError) as refused:
        load_settings(written(tmp_path, text), {})

    assert refused.value.setting == setting


def test_settings__refused_by_a_check_of_ours__are_told_in_its_words_alone(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as refused:
        load_settings(written(tmp_path, '[http]\ncors_origins = ["page.example"]'), {})

    assert "Value error" not in str(refused.value)


def test_settings__that_are_wrong__never_show_a_key(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as refused:
        load_settings(written(tmp_path, f'[key]\nprivate_key = ["{KEY}"]'), {})

    assert KEY not in str(refused.value)


def test_key__printed_with_the_settings__is_hidden(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, f'[key]\nprivate_key = "{KEY}"'), {})

    assert KEY not in repr(settings)
    assert settings.secrets == [KEY]


def test_key__that_is_raw__is_for_local_chains_only() -> None:
    section = KeySection(private_key=KEY)  # type: ignore[arg-type]
    check_key_may_be_raw(section, 31337)

    with pytest.raises(SettingError, match="local chains only"):
        check_key_may_be_raw(section, 1)


def test_key__that_is_missing__is_named() -> None:
    with pytest.raises(SettingError) as refused:
        load_key(KeySection())

    assert refused.value.setting == "key.keystore"


def test_contract__that_is_missing__is_named() -> None:
    with pytest.raises(SettingError) as refused:
        client_settings(GatewaySettings())

    assert refused.value.setting == "chain.contract_address"


def test_amount__that_is_none__is_named() -> None:
    with pytest.raises(SettingError) as refused:
        till_settings(KeySection(credit_low="much"))

    assert refused.value.setting == "key.credit_low"


@pytest.mark.parametrize(("database", "is_shared"), [(None, False), ("postgresql://h/d", True)])
def test_gateways__share_what_is_on_a_server(database: str | None, is_shared: bool) -> None:
    assert GatewaySettings(database=database).is_shared is is_shared  # type: ignore[arg-type]


def test_origins__unless_set__are_the_machines_own() -> None:
    assert "http://localhost:8001" in own_origins(GatewaySettings())
    named = GatewaySettings(http={"public_origins": "https://gateway.example"})  # type: ignore[arg-type]
    assert own_origins(named) == ("https://gateway.example",)


def test_rates__that_are_set__replace_those_alone() -> None:
    defaults = {"dvllm": {"submit": Rate(100, 3600), "status": Rate(10_000, 3600)}}
    settings = GatewaySettings(rates={"dvllm": {"submit": "5/minute"}})

    assert _rates(settings, defaults)["dvllm"] == {
        "submit": Rate(5, 60),
        "status": Rate(10_000, 3600),
    }


@pytest.mark.parametrize("rates", [{"dvllm": {"tea": "1/minute"}}, {"tea": {"submit": "1/minute"}}])
def test_rates__of_what_is_not_there__are_refused(rates: dict[str, dict[str, str]]) -> None:
    with pytest.raises(SettingError, match="there is no such rate"):
        _rates(GatewaySettings(rates=rates), {"dvllm": {"submit": Rate(1, 1)}})
