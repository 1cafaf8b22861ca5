"""Headers of weights that are made to cost: refused early, in few words."""

import json
import struct
from pathlib import Path

import pytest

from decentralized_vllm.content.model_files import check_model_directory
from decentralized_vllm.content.safetensors_header import tensor_names
from decentralized_vllm.protocol.errors import UnsafeModel

LONG = "n\n" * 50_000
ENTRY = {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}


def refusal(path: Path, header: bytes) -> str:
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(UnsafeModel) as caught:
        tensor_names(path)
    return caught.value.message


@pytest.mark.parametrize(
    "header",
    [
        {LONG: 1},
        {LONG: {**ENTRY, "shape": [5]}},
        {LONG: ENTRY, "b": ENTRY},
        {"a": {**ENTRY, "dtype": LONG}},
        {"a": {**ENTRY, "shape": [LONG]}},
    ],
)
def test_tensor_names__long_name__is_not_told_in_full(tmp_path: Path, header: object) -> None:
    message = refusal(tmp_path / "x.safetensors", json.dumps(header).encode())
    assert len(message) < 500
    assert message.isprintable()


def test_check_model_directory__long_name_in_the_index__is_not_told_in_full(
    tmp_path: Path,
) -> None:
    header = json.dumps({"a": ENTRY}).encode()
    content = struct.pack("<Q", len(header)) + header + bytes(4)
    (tmp_path / "x.safetensors").write_bytes(content)
    (tmp_path / "config.json").write_text("{}")
    index = {"weight_map": {LONG: "x.safetensors"}}
    (tmp_path / "x.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UnsafeModel, match="has no tensor") as caught:
        check_model_directory(tmp_path)
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("filler", [b"[],", b"{},", b"[[[]]],"])
def test_tensor_names__more_lists_than_tensors_have__are_not_read(
    tmp_path: Path, filler: bytes
) -> None:
    header = b'{"a":[' + filler * 50_000 + b"0]}"
    message = refusal(tmp_path / "x.safetensors", header)
    assert "arrays and objects" in message


def test_tensor_names__as_dense_as_tensors_can_be__is_read(tmp_path: Path) -> None:
    entry = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({f"{n}": entry for n in range(3000)}, separators=(",", ":")).encode()
    file = tmp_path / "x.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    assert len(tensor_names(file)) == 3000
