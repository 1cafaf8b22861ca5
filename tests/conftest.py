"""How pytest-xdist deals tests out (those of one fixture together); how examples are made."""

from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# A busy machine is no defect of what is tested, so nothing here is held to the clock.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


class LoadTestScheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist brings no types
    """Sets up a module's fixture once. The largest modules go first, so that none is the tail.

    In place of `--dist loadgroup`, whose groups pytest 9.2 does not see.
    """

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        self._root = config.rootpath

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if has_module_fixture(self._root / module) else nodeid


@cache
def has_module_fixture(module: Path) -> bool:
    places = (module, module.with_name("conftest.py"))
    return any('scope="module"' in place.read_text() for place in places if place.exists())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadTestScheduling:
    return LoadTestScheduling(config, log)
