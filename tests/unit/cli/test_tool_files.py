"""Tools of a file: what `submit_task` gets, and mistakes told by option."""

import json

import pytest

from decentralized_vllm.cli.tool_files import tool_options
from decentralized_vllm.protocol.errors import SettingError

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([TOOL]))
    return path


@pytest.mark.parametrize("choice", [None, "auto", "required", "none"])
def test_tool_options__one_of_the_words__is_itself(file, choice):
    assert tool_options(str(file), choice) == {"tools": [TOOL], "tool_choice": choice}


def test_tool_options__another_word__names_a_tool(file):
    named = {"type": "function", "function": {"name": "f"}}
    assert tool_options(str(file), "f")["tool_choice"] == named


def test_tool_options__no_file__are_none():
    assert tool_options(None, None) == {}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not JSON"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b"[" * 100_000, "nested"),
        (b"[]", "must be a JSON list of tools"),
        (b'{"type":"function"}', "must be a JSON list of tools"),
        (b"[1]", "tools.0."),
        (b'[{"type":"function","function":{}}]', "tools.0.function.name: Field required"),
        (b" " * (1 << 21), "more than 1048576"),
    ],
)
def test_tool_options__bad_file__names_option_and_file(file, data, told):
    file.write_bytes(data)
    with pytest.raises(SettingError, match="tools: ") as caught:
        tool_options(str(file), None)
    assert caught.value.setting == "tools"
    assert str(file) in caught.value.message
    assert told in caught.value.message


def test_tool_options__no_such_file_or_a_folder__names_the_option(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(SettingError, match="can not be read") as caught:
            tool_options(str(path), None)
        assert caught.value.setting == "tools"


@pytest.mark.parametrize("choice", ["g", "a b"])
def test_tool_options__choice_that_is_none__names_that_option(file, choice):
    with pytest.raises(SettingError) as caught:
        tool_options(str(file), choice)
    assert caught.value.setting == "tool_choice"


def test_tool_options__choice_without_tools__says_how_to_give_them():
    with pytest.raises(SettingError, match="give them with --tools"):
        tool_options(None, "auto")
