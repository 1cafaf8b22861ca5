"""The doctor asks the gateways that it names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dvllm_worker.doctor import check_content
from dvllm_worker.settings import ContentSection, WorkerSettings
from tests.support.content_process import serving

NOBODY = "http://127.0.0.1:1"
PRIVATE = "content.allow_private_addresses = true"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("store")) as (urls, _):
        yield urls["gateway_url"]


def settings(tmp_path: Path, *gateways: str, allows_private: bool) -> WorkerSettings:
    section = ContentSection(gateways=gateways, allow_private_addresses=allows_private)
    return WorkerSettings(data_dir=tmp_path, content=section)


async def test_doctor__gateway_that_nobody_serves__is_not_ok(tmp_path: Path) -> None:
    check = await check_content(settings(tmp_path, NOBODY, allows_private=True))
    assert not check.is_ok
    assert check.finding == f"no answer from {NOBODY}"
    assert "content.gateways" in check.mends[0]
    assert PRIVATE not in " ".join(check.mends)


async def test_doctor__private_gateway_that_may_not_be_read__names_the_setting(
    tmp_path: Path, gateway: str
) -> None:
    check = await check_content(settings(tmp_path, gateway, allows_private=False))
    assert not check.is_ok
    assert PRIVATE in check.mends[-1]


async def test_doctor__one_of_two_answers__is_ok_and_names_the_other(
    tmp_path: Path, gateway: str
) -> None:
    check = await check_content(settings(tmp_path, NOBODY, gateway, allows_private=True))
    assert check.is_ok
    assert check.finding == f"reads from {gateway}; no answer from {NOBODY}"
