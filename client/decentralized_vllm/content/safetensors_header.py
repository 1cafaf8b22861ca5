"""Checks a safetensors header against its file, reading nothing of the weights."""

import math
import os
import stat
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from decentralized_vllm.protocol import canonical_json
from decentralized_vllm.protocol.errors import InvalidDocument, UnsafeModel

MAX_HEADER_BYTES = 100_000_000
MAX_SHOWN = 100
# Less than any tensor's `"":{"dtype":"U8","shape":[],"data_offsets":[0,0]},`, which has six.
_BYTES_OF_SIX_BRACKETS = 48
_LENGTH_BYTES = 8
_DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "F64": 64, "I64": 64, "U64": 64, "C64": 64,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    start: int
    end: int  # bytes, counted from the end of the header


def tensor_names(path: Path) -> frozenset[str]:
    """Names in the header of a file whose header tells the truth. Raises UnsafeModel, OSError.

    True means: known types, sizes that follow from the shapes, and data that fills the file from
    the header to the end without a gap or an overlap.
    """
    header, data_bytes = _read_header(path)
    tensors = [
        _tensor(path.name, name, entry) for name, entry in header.items() if name != "__metadata__"
    ]
    _check_metadata(path.name, header.get("__metadata__", {}))
    _check_fills(path.name, tensors, data_bytes)
    return frozenset(tensor.name for tensor in tensors)


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    with open(path, "rb", opener=_open_no_follow) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UnsafeModel(f"{path.name} is not a regular file")
        size = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if not 2 <= size <= min(MAX_HEADER_BYTES, status.st_size - _LENGTH_BYTES):
            raise UnsafeModel(f"{path.name} announces a header of {size} bytes")
        text = file.read(size)
    return _parse(path.name, text), status.st_size - _LENGTH_BYTES - size


def _parse(file_name: str, text: bytes) -> dict[str, Any]:
    most_brackets = 6 * (len(text) // _BYTES_OF_SIX_BRACKETS + 2)
    try:
        # First, as lists of nothing take thirty times their bytes when they are read.
        canonical_json.check_depth(text.decode("utf-8", "replace"), most_brackets=most_brackets)
        header = canonical_json.decode(text, max_bytes=MAX_HEADER_BYTES)
    except InvalidDocument as error:
        raise UnsafeModel(f"{file_name} has a bad header: {error.message}") from error
    if not isinstance(header, dict):
        raise UnsafeModel(f"{file_name} has a header that is no JSON object")
    return header


def _tensor(file_name: str, name: str, entry: Any) -> _Tensor:
    where = f"{file_name}, tensor {name[:MAX_SHOWN]!r}"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise UnsafeModel(f"{where}: not a dtype, a shape and offsets")
    bits = _DTYPE_BITS.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if bits is None:
        raise UnsafeModel(f"{where}: dtype {str(entry['dtype'])[:MAX_SHOWN]!r} is unknown")
    shape, offsets = _counts(where, entry["shape"]), _counts(where, entry["data_offsets"])
    if len(offsets) != 2 or (offsets[1] - offsets[0]) * 8 != math.prod(shape) * bits:
        raise UnsafeModel(f"{where}: the offsets do not fit the shape")
    return _Tensor(name, offsets[0], offsets[1])


def _counts(where: str, value: Any) -> list[int]:
    """Numbers from zero on, small enough that multiplying them is cheap."""
    if not isinstance(value, list) or len(value) > 32:
        raise UnsafeModel(f"{where}: not a list of numbers")
    for number in value:
        if type(number) is not int or not 0 <= number < 2**63:
            raise UnsafeModel(f"{where}: {str(number)[:40]!r} is not a size")
    return value


def _check_metadata(file_name: str, metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise UnsafeModel(f"{file_name} has metadata that is not text")


def _check_fills(file_name: str, tensors: list[_Tensor], data_bytes: int) -> None:
    ordered = sorted(tensors, key=lambda tensor: (tensor.start, tensor.end))
    for before, after in pairwise(ordered):
        if before.end != after.start:
            names = f"{before.name[:MAX_SHOWN]!r} and {after.name[:MAX_SHOWN]!r}"
            raise UnsafeModel(f"{file_name}: {names} do not adjoin")
    first, last = (ordered[0].start, ordered[-1].end) if ordered else (0, 0)
    if (first, last) != (0, data_bytes):
        raise UnsafeModel(f"{file_name}: its tensors do not fill its {data_bytes} bytes of data")


def _open_no_follow(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
