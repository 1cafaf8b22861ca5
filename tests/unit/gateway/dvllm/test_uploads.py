"""Uploads on disk: bounded, and gone when they end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dvllm_gateway.errors import InvalidRequest, NoCapacity, PayloadTooLarge
from dvllm_gateway.services.uploads import Uploads

MAX_BYTES = 20 << 20


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def uploads(root: Path, **changes: int) -> Uploads:
    return Uploads(root, **{"max_bytes": MAX_BYTES, "spare_bytes": 0, **changes})


async def test_receive__some_files__there_until_the_end(tmp_path: Path) -> None:
    async with uploads(tmp_path).receive(None) as folder:
        await folder.save("config.json", pieces(b"{", b"}"))
        await folder.save("model.safetensors", pieces(*[bytes(1 << 20)] * 9, b"end"))
        assert (folder.path / "config.json").read_bytes() == b"{}"
        assert (folder.path / "model.safetensors").stat().st_size == (9 << 20) + 3
        assert folder.path.parent == tmp_path
    assert names_in(tmp_path) == []


async def test_receive__all_files_together_too_large__refused(tmp_path: Path) -> None:
    async with uploads(tmp_path).receive(None) as folder:
        await folder.save("a.safetensors", pieces(bytes(MAX_BYTES)))
        with pytest.raises(PayloadTooLarge):
            await folder.save("b.safetensors", pieces(b"x"))


async def test_receive__announced_too_large__refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(PayloadTooLarge):
        async with uploads(tmp_path).receive(MAX_BYTES + 1):
            pass


async def test_receive__disk_is_nearly_full__refused(tmp_path: Path) -> None:
    with pytest.raises(NoCapacity):
        async with uploads(tmp_path, spare_bytes=1 << 60).receive(None):
            pass
    assert names_in(tmp_path) == []


async def test_save__disk_fills_up_meanwhile__refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with uploads(tmp_path).receive(None) as folder:
        monkeypatch.setattr(folder, "_spare_bytes", 1 << 60)
        with pytest.raises(NoCapacity):
            await folder.save("a.safetensors", pieces(b"x"))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/etc/config.json", "a/b.safetensors", "x.bin", "x.pt", "a\0.json"]
)
async def test_save__no_name_of_a_models_file__refused(tmp_path: Path, name: str) -> None:
    async with uploads(tmp_path).receive(None) as folder:
        with pytest.raises(InvalidRequest):
            await folder.save(name, pieces(b"x"))
        assert names_in(folder.path) == []


async def test_clean__what_a_killed_process_left__goes(tmp_path: Path) -> None:
    root = tmp_path / "uploads"
    (root / "left").mkdir(parents=True)
    (root / "left" / "model.safetensors").write_bytes(b"half")
    uploads(root).clean()
    assert names_in(root) == []
