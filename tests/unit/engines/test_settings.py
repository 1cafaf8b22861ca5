"""Wrong engine settings are refused with the field's name."""

from typing import Any

import pytest
from pydantic import ValidationError

from dvllm_worker.engines.settings import EngineSettings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "llama"),
        ("url", "127.0.0.1:8000"),
        ("url", "file:///etc/passwd"),
        ("url", "http://user:secret@127.0.0.1"),
        ("dtype", "int4"),
        ("slots", 0),
        ("port", 70_000),
        ("token_timeout_s", 0),
        ("kv_cache_gb", -1),
        ("extra_args", ["--host", "0.0.0.0"]),
        ("extra_args", ["--trust-remote-code"]),
        ("extra_args", ["--trust_remote_code=true"]),
        ("extra_args", ["--tool-call-parser", "hermes"]),
        ("extra_args", ["--enable_auto_tool_choice"]),
        ("extra_args", ["--runner", "pooling"]),
        ("pooling", {"m": "max"}),
        ("pooling", "mean"),
        ("tool_call_parser", "her mes"),
        ("tool_call_parser", "--host"),
        ("tool_call_parser", ""),
        ("surprise", 1),
    ],
)
def test_settings__wrong_value__names_the_field(field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        EngineSettings.model_validate({field: value})


def test_settings__url_with_path_of_the_api__same_server() -> None:
    assert EngineSettings(url="http://127.0.0.1:8000/v1").url == "http://127.0.0.1:8000"
    assert EngineSettings(url="http://127.0.0.1:8000/").url == "http://127.0.0.1:8000"


def test_settings__parallel_flags__passed() -> None:
    args = ("--tensor-parallel-size", "2")
    assert EngineSettings(extra_args=args).extra_args == args


def test_settings__printed__key_hidden() -> None:
    settings = EngineSettings.model_validate({"api_key": "very-secret"})
    assert "very-secret" not in repr(settings)
