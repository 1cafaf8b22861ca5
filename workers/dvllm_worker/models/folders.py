"""What lies in the folder of models, by model; and how a model goes from there."""

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from decentralized_vllm.content.cid import parse_cid
from decentralized_vllm.protocol.errors import InvalidCid
from decentralized_vllm.protocol.ids import Cid

_PARTIAL = re.compile(r"\.(?P<cid>[^.]+)\.[^.]+\.partial")  # as a fetch names what is not whole
_GOING = re.compile(r"\.(?P<cid>[^.]+)\.going")


class ModelFolders:
    """`root/<cid>` is whole and checked, `root/fetched/<cid>` is still to be checked.

    Beside the latter lies what is not whole yet, and what is being deleted. All else, links too,
    is somebody else's and stays as it is.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._fetched = root / "fetched"

    def checked(self, cid: Cid) -> Path:
        return self._root / cid

    def fetched(self, cid: Cid) -> Path:
        return self._fetched / cid

    def by_model(self) -> dict[Cid, list[Path]]:
        """All folders that there are of each model."""
        found: dict[Cid, list[Path]] = defaultdict(list)
        for path in (*_folders_in(self._root), *_folders_in(self._fetched)):
            partial = _PARTIAL.fullmatch(path.name)
            cid = partial["cid"] if partial else path.name
            if _is_cid(cid):
                found[Cid(cid)].append(path)
        return found

    def remove(self, cid: Cid, folders: Sequence[Path]) -> None:
        """Whoever is killed here leaves no half of a model that looks like a whole one."""
        self._fetched.mkdir(parents=True, exist_ok=True)
        for folder in folders:
            going = self._fetched / f".{cid}.going"
            shutil.rmtree(going, ignore_errors=True)  # of one who was killed
            os.rename(folder, going)
            shutil.rmtree(going)

    def finish_removals(self) -> None:
        for path in _folders_in(self._fetched):
            going = _GOING.fullmatch(path.name)
            if going and _is_cid(going["cid"]):
                shutil.rmtree(path)


def _folders_in(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (entry for entry in path.iterdir() if entry.is_dir() and not entry.is_symlink())


def _is_cid(text: str) -> bool:
    try:
        parse_cid(Cid(text))
    except InvalidCid:
        return False
    return True
