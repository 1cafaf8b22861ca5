"""Which model directories may be loaded: safetensors, configuration, tokenizer, nothing that runs.

All files lie flat, but for two folders in which sentence-transformers says how vectors are made.

`check_model_listing` needs only names and sizes and so comes before a download;
`check_model_directory` reads what was downloaded and comes before a load.
"""

import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from decentralized_vllm.content.safetensors_header import tensor_names
from decentralized_vllm.protocol.errors import UnsafeModel

MAX_FILES = 1000
_MAX_TEXT_BYTES = 64 * 1024 * 1024  # the largest tokenizers have about half of it
_MAX_CONFIG_BYTES = 4 * 1024 * 1024
_MAX_MODULE_BYTES = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_WEIGHTS = re.compile(r".+\.safetensors")
_INDEX = re.compile(r".+\.safetensors\.index\.json")
_TOKENIZER = re.compile(r"tokenizer[A-Za-z0-9._-]*\.(json|model|txt)")
_ABOUT = re.compile(r"(README|LICENSE|NOTICE)[A-Za-z0-9._-]*", re.IGNORECASE)
_CONFIGURATION = {"config.json", "generation_config.json", "tokenizer_config.json"}
_OTHER = {
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
}
_MODULES = "modules.json"
_POOLING = "1_Pooling/config.json"
_MODULE_FOLDERS = {"1_Pooling", "2_Normalize"}  # others hold weights, or code
_MODULE_FILES = {_MODULES, *(f"{folder}/config.json" for folder in _MODULE_FOLDERS)}
# Text whose ending makes tools run or unpack it is no README.
_ABOUT_ENDINGS = ("", ".md", ".txt", ".rst")


def check_model_listing(names: Sequence[str], sizes: Sequence[int]) -> None:
    """File names and their sizes in bytes. Raises UnsafeModel, naming the file."""
    if len(names) > MAX_FILES:
        raise UnsafeModel(f"a model of {len(names)} files has more than {MAX_FILES}")
    if len(set(names)) != len(names):
        raise UnsafeModel("a file is listed twice")
    for name, size in zip(names, sizes, strict=True):
        if name not in _MODULE_FILES:
            check_model_file_name(name)
        _check_size(name, size)
    if "config.json" not in names:
        raise UnsafeModel("config.json is missing")
    if not any(_WEIGHTS.fullmatch(name) for name in names):
        raise UnsafeModel("no *.safetensors file: other kinds of weights are not accepted")
    if (_MODULES in names) != (_POOLING in names):
        raise UnsafeModel(f"{_MODULES} and {_POOLING} belong together, and one is missing")


def check_model_directory(path: Path) -> None:
    """Reads every header and configuration file. Raises UnsafeModel, OSError.

    Nothing else may write to the directory between this check and the load.
    """
    entries = _regular_files(path)
    check_model_listing(list(entries), [entry.lstat().st_size for entry in entries.values()])
    for name, entry in entries.items():
        if entry.suffix == ".json":
            _check_json(name, entry)
    tensors = {n: tensor_names(e) for n, e in entries.items() if _WEIGHTS.fullmatch(n)}
    for name, entry in entries.items():
        if _INDEX.fullmatch(name):
            _check_index(entry, tensors)


def check_model_file_name(name: str) -> None:
    """For one file, before any of it comes. Raises UnsafeModel."""
    if not _NAME.fullmatch(name):
        raise UnsafeModel(f"{name[:200]!r} is not a plain file name")
    if not (_is_bulk(name) or name in _CONFIGURATION or name == _MODULES or _is_about(name)):
        raise UnsafeModel(
            f"{name} is not a kind of file a model may have",
            hint="only safetensors, configuration, tokenizer and template files are accepted",
        )


def _regular_files(path: Path) -> dict[str, Path]:
    """By their names below `path`, in order. Raises UnsafeModel for anything else there."""
    files: dict[str, Path] = {}
    for entry in sorted(path.iterdir()):
        mode = entry.lstat().st_mode
        if stat.S_ISREG(mode):
            files[entry.name] = entry
        elif stat.S_ISDIR(mode) and entry.name in _MODULE_FOLDERS:
            inner = _regular_files(entry)
            files.update({f"{entry.name}/{name}": file for name, file in inner.items()})
        else:
            raise UnsafeModel(f"{entry.name} is a link, a directory or a device")
    return files


def _is_bulk(name: str) -> bool:
    kinds = (_WEIGHTS, _INDEX, _TOKENIZER)
    return name in _OTHER or any(kind.fullmatch(name) for kind in kinds)


def _is_about(name: str) -> bool:
    return _ABOUT.fullmatch(name) is not None and Path(name).suffix.lower() in _ABOUT_ENDINGS


def _check_size(name: str, size: int) -> None:
    if _WEIGHTS.fullmatch(name):
        return
    limit = _MAX_CONFIG_BYTES if name in _CONFIGURATION else _MAX_TEXT_BYTES
    if name in _MODULE_FILES:
        limit = _MAX_MODULE_BYTES
    if size > limit:
        raise UnsafeModel(f"{name} has {size} bytes, more than {limit}")


def _check_json(name: str, path: Path) -> None:
    value = _load_json(name, path)
    if not isinstance(value, list if name == _MODULES else dict):
        raise UnsafeModel(f"{name} is not a JSON {'list' if name == _MODULES else 'object'}")
    # A vocabulary may hold any word, also this one; only configuration is searched to the bottom.
    if _names_code(value, deep=name in _CONFIGURATION | _MODULE_FILES):
        raise UnsafeModel(
            f"{name} asks for code to be loaded (auto_map)",
            hint="remote code is never run; use a model without it",
        )


def _load_json(name: str, path: Path) -> Any:
    try:
        return from_json(path.read_bytes())
    except ValueError as error:
        raise UnsafeModel(f"{name} is not JSON: {error}") from error


def _names_code(value: Any, *, deep: bool) -> bool:
    """Whether `auto_map`, or trust_remote_code switched on, is a key here (`deep`: or below).

    The parser ends at 200 levels, so this recursion does.
    """
    if isinstance(value, dict):
        if "auto_map" in value or value.get("trust_remote_code"):
            return True
        below: list[Any] = list(value.values())
    elif isinstance(value, list):
        below = value
    else:
        return False
    return deep and any(_names_code(item, deep=True) for item in below)


def _check_index(path: Path, tensors: dict[str, frozenset[str]]) -> None:
    """An index may name only tensors that are in the files it names, and only files listed."""
    weight_map = _load_json(path.name, path).get("weight_map")
    if not isinstance(weight_map, dict):
        raise UnsafeModel(f"{path.name} has no weight_map")
    for tensor, file_name in weight_map.items():
        if not isinstance(file_name, str) or file_name not in tensors:
            raise UnsafeModel(f"{path.name} names {str(file_name)[:200]!r}, which is not listed")
        if tensor not in tensors[file_name]:
            raise UnsafeModel(f"{path.name}: {file_name} has no tensor {tensor[:200]!r}")
