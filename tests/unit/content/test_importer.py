"""What an import refuses, before anybody relies on its CID."""

from pathlib import Path

import pytest

from decentralized_vllm.content.importer import cid_of_path
from decentralized_vllm.protocol.errors import ContentTooLarge


def test_import__directory_too_long_for_a_block__is_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "crowded"
    folder.mkdir()
    for number in range(7200):
        (folder / f"{number:0255}").touch()
    with pytest.raises(ContentTooLarge, match="crowded: its list of 7200 entries"):
        cid_of_path(tmp_path)
