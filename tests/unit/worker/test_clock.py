"""Chain time between blocks."""

from dvllm_worker.clock import ChainClock


class Blocks:
    def __init__(self, timestamp_s: int) -> None:
        self.timestamp_s = timestamp_s

    async def chain_time_s(self) -> int:
        return self.timestamp_s


async def test_clock__follows_the_chain_and_not_the_machine() -> None:
    blocks = Blocks(5_000_000_000)
    clock = ChainClock(blocks)
    await clock.refresh()
    assert 5_000_000_000 <= clock.now_s() < 5_000_000_060


async def test_clock__between_blocks__goes_on() -> None:
    clock = ChainClock(Blocks(1000))
    await clock.refresh()
    first = clock.now_s()
    await clock.sleep_s(0.02)
    assert clock.now_s() > first


async def test_clock__learns_of_a_later_block_and_ignores_an_earlier_one() -> None:
    clock = ChainClock(Blocks(1000))
    await clock.refresh()
    clock.learn(1010)
    assert 1010 <= clock.now_s() < 1020
    clock.learn(1005)
    assert clock.now_s() >= 1010
