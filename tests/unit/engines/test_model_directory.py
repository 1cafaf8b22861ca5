"""No engine opens a directory that could run code."""

import json
from pathlib import Path

import pytest

from decentralized_vllm.protocol.errors import UnsafeModel
from dvllm_worker.engines.model_directory import (
    check_model_directory,
    has_chat_template,
    stated_dtype,
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"dtype": "bfloat16"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    return tmp_path


def test_check__plain_model__passes(model: Path) -> None:
    check_model_directory(model)


@pytest.mark.parametrize("name", ["modeling.py", "pytorch_model.bin", "x.PT", "deep/x.pkl"])
def test_check__code_or_pickle__unsafe(model: Path, name: str) -> None:
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_bytes(b"")
    with pytest.raises(UnsafeModel, match="could run code"):
        check_model_directory(model)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_check__auto_map__unsafe(model: Path, name: str) -> None:
    (model / name).write_text(json.dumps({"auto_map": {"AutoModel": "modeling.Model"}}))
    with pytest.raises(UnsafeModel, match="auto_map"):
        check_model_directory(model)


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_check__config_not_json__unsafe(model: Path, text: str) -> None:
    (model / "config.json").write_text(text)
    with pytest.raises(UnsafeModel, match="not JSON"):
        check_model_directory(model)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_check__part_missing__unsafe(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(UnsafeModel, match=name.removeprefix("model")):
        check_model_directory(model)


def test_chat_template__in_either_place__found(model: Path) -> None:
    assert not has_chat_template(model)
    (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ x }}"}))
    assert has_chat_template(model)
    (model / "tokenizer_config.json").unlink()
    assert not has_chat_template(model)
    (model / "chat_template.jinja").write_text("{{ x }}")
    assert has_chat_template(model)


def test_stated_dtype__old_and_new_name__read(model: Path) -> None:
    assert stated_dtype(model) == "bfloat16"
    (model / "config.json").write_text(json.dumps({"torch_dtype": "float16"}))
    assert stated_dtype(model) == "float16"
    (model / "config.json").write_text("{}")
    assert stated_dtype(model) is None
