"""What was built is not walked again; what is made later still goes."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from decentralized_vllm.process.garbage import keep_what_is_built


class Ring:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def collector_as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_keep__what_was_there__is_not_walked_any_more() -> None:
    ring = Ring()
    keep_what_is_built()
    assert not any(each is ring for each in gc.get_objects())


def test_keep__a_ring_made_later__still_goes() -> None:
    keep_what_is_built()
    gone = weakref.ref(Ring())
    gc.collect()
    assert gone() is None
