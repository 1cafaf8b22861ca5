"""Blocks kept in memory: as many as there is room for, the latest ones."""

from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.content.recent_blocks import (
    _OVERHEAD_BYTES,
    MAX_BLOCK_BYTES,
    RecentBlocks,
)

ROOM = 4 * (_OVERHEAD_BYTES + 100)
KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f", b"g"])


def test_keep__too_large__is_not_kept() -> None:
    blocks = RecentBlocks()
    blocks.keep(b"model", bytes(MAX_BLOCK_BYTES + 1))
    blocks.keep(b"prompt", bytes(MAX_BLOCK_BYTES))
    assert blocks.find(b"model") is None
    assert blocks.find(b"prompt") == bytes(MAX_BLOCK_BYTES)


def test_keep__without_room__lets_the_oldest_go() -> None:
    blocks = RecentBlocks(max_bytes=ROOM)
    for key in (b"a", b"b", b"c", b"d", b"a", b"e"):
        blocks.keep(key, bytes(100))
    assert [key for key in (b"a", b"b", b"c", b"d", b"e") if blocks.find(key)] == [
        b"a",
        b"c",
        b"d",
        b"e",
    ]


@given(st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=1000)), max_size=60))
def test_any_story__what_is_found_was_written_last_and_fits(
    story: list[tuple[bytes, bytes | None]],
) -> None:
    blocks, written = RecentBlocks(max_bytes=ROOM), dict[bytes, bytes]()
    for key, block in story:
        if block is None:
            blocks.forget(key)
            written.pop(key, None)
        else:
            blocks.keep(key, block)
            written[key] = block
    found = {key: block for key in written if (block := blocks.find(key)) is not None}
    assert found == {key: written[key] for key in found}
    assert sum(len(block) + _OVERHEAD_BYTES for block in found.values()) <= ROOM
    assert blocks._room >= 0
