"""The doctor asks the servers that engine and answers depend on."""

import pytest

from decentralized_vllm.protocol.errors import EngineUnavailable, SettingError
from dvllm_worker.doctor import check_engine, check_mirror
from dvllm_worker.engines.settings import EngineSettings
from tests.support.fake_vllm import running_fake

NOBODY = "http://127.0.0.1:1"


async def test_engine_url__nobody_answers__is_not_ok() -> None:
    with pytest.raises(EngineUnavailable, match="does not answer"):
        await check_engine(EngineSettings(url=NOBODY))


async def test_engine_url__server_of_another_model__names_it() -> None:
    async with running_fake() as server:
        assert (await check_engine(EngineSettings(url=server.url, served_model="m"))).is_ok
        with pytest.raises(SettingError, match="other"):
            await check_engine(EngineSettings(url=server.url, served_model="other"))


async def test_mirror__nobody_answers__is_not_ok() -> None:
    check = await check_mirror(NOBODY)
    assert (check.is_ok, check.finding) == (False, f"no answer from {NOBODY}")
    assert "content.mirror_api" in check.mends[0]
