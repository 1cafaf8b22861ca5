"""A model of any size that costs no disk, and what a process weighs while it takes it."""

import asyncio
import json
import shutil
from pathlib import Path

import psutil

from dvllm_devnet.models.tiny import tiny_model
from tests.support.engines import MODEL_CACHE

LOOK_EVERY_S = 0.05


def big_model(folder: Path, n_bytes: int) -> Path:
    """One tensor of zeros, a hole in its file, in an otherwise small model."""
    folder.mkdir()
    shutil.copy(tiny_model(MODEL_CACHE, seed=1) / "config.json", folder)
    entry = {"zeros": {"dtype": "U8", "shape": [n_bytes], "data_offsets": [0, n_bytes]}}
    head = json.dumps(entry).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        file.truncate(8 + len(head) + n_bytes)
    return folder


async def peak_rss_bytes(process: psutil.Process, work: "asyncio.Task[object]") -> int:
    """The most that was seen resident while `work` went on."""
    peak = 0
    while not work.done():
        peak = max(peak, process.memory_info().rss)
        await asyncio.sleep(LOOK_EVERY_S)
    return peak
