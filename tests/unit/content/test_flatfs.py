"""The listing of a folder of blocks: whole, quiet when left half-way, and fit for a busy folder."""

import gc
from pathlib import Path

import pytest

from decentralized_vllm.content.flatfs import FlatFs


@pytest.fixture
def files(tmp_path: Path) -> FlatFs:
    files = FlatFs(tmp_path)
    files.open()
    return files


def test_entries__left_half_way__close_what_they_opened(files: FlatFs) -> None:
    for number in range(3):
        files.write(bytes([18, 32, number, *[0] * 31]), b"x")
    entries = files.entries()
    next(entries)
    del entries
    gc.collect()  # an open directory would be told as a ResourceWarning, which is an error here


def test_entries__block_is_deleted_meanwhile__are_the_others(files: FlatFs) -> None:
    keys = [bytes([18, 32, number, *[0] * 31]) for number in range(4)]  # of one shard
    for key in keys:
        files.write(key, b"xy")
    listed = []
    for key, n_bytes in files.entries():
        listed.append((key, n_bytes))
        for other in keys:
            if other != key:
                files.delete(other)
    assert len(listed) == 1
    assert listed[0] in {(key, 2) for key in keys}


def test_entries__file_that_is_no_block__is_left_out(files: FlatFs) -> None:
    key = bytes([18, 32, *[0] * 32])
    files.write(key, b"x")
    block = files.path(key)
    block.with_name(f"._{block.name}").touch()  # as some systems put beside a copied file
    assert list(files.entries()) == [(key, 1)]
