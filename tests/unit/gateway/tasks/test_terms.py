"""What a request may cost, without asking the chain each time."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from decentralized_vllm.protocol.errors import ChainUnavailable, UnknownModel
from decentralized_vllm.protocol.escrow import escrow_of_share
from decentralized_vllm.protocol.events import VersionAnnounced
from decentralized_vllm.protocol.generation import SamplingParameters
from decentralized_vllm.protocol.ids import Cid, ModelId, VersionNumber, Wei
from decentralized_vllm.protocol.models import CurrentVersion, ModelInfo, ModelVersion
from decentralized_vllm.protocol.prompts import chat_prompt
from decentralized_vllm.protocol.units import gwei
from dvllm_gateway.errors import InvalidRequest, ModelNotFound, NetworkUnavailable, NoCapacity
from dvllm_gateway.market import terms as terms_module
from dvllm_gateway.market.terms import TermsBook
from dvllm_gateway.services.tasks import TaskRequest
from tests.support.jobs import terms
from tests.support.scripted_market import requested

MODEL = ModelId("tiny")
CHEAP = terms(max_fee_gwei=10**9)
DEAR = terms(max_fee_gwei=2 * 10**9, flat_fee_gwei=2 * 10**9)


@dataclass
class Chain:
    """The registry and the coordinator, as far as terms are concerned. Counts its reads."""

    is_active: bool = True
    current: int = 1
    announced: int | None = None
    n_entries: int = 1
    is_silent: bool = False
    n_reads: int = 0
    versions: dict[int, Any] = field(default_factory=lambda: {1: CHEAP, 2: DEAR})

    async def model(self, model_id: ModelId) -> ModelInfo:
        self.n_reads += 1
        if self.is_silent:
            raise ChainUnavailable("no chain")
        if model_id != MODEL:
            raise UnknownModel("no such model")
        return ModelInfo(model_id, Cid("x"), "Tiny", "", 0, self.is_active)

    async def current_version(self, model_id: ModelId) -> CurrentVersion:
        if model_id != MODEL:
            raise UnknownModel("no such model")
        announced = None if self.announced is None else VersionNumber(self.announced)
        return CurrentVersion(VersionNumber(self.current), announced)

    async def version(self, number: VersionNumber) -> ModelVersion:
        terms = self.versions[number]
        return ModelVersion(number, MODEL, Cid("x"), terms, self.n_entries, 1_000)

    async def chain_time_s(self) -> int:
        return 995


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now_s=100.0)
    monkeypatch.setattr(terms_module.time, "monotonic", lambda: clock.now_s)
    return clock


@pytest.fixture
def book(chain: Chain, clock: SimpleNamespace) -> TermsBook:
    network: Any = SimpleNamespace(coordinator=chain, model_registry=chain, jobs=chain)
    return TermsBook(network)


def request(*, max_tokens: int = 5, max_fee_wei: Wei | None = None) -> TaskRequest:
    document = chat_prompt("hello", SamplingParameters(max_tokens=max_tokens))
    return TaskRequest(MODEL, document, "hello", max_fee_wei)


async def test_quote__escrow_and_ceiling_are_those_of_the_terms(book: TermsBook) -> None:
    quote = await book.quote(request(max_fee_wei=Wei(10**30)))
    assert quote.escrow_wei == escrow_of_share(CHEAP, quote.share)
    assert quote.ceiling_wei == gwei(CHEAP.max_fee_gwei)  # not what the caller would accept
    assert quote.document == request().document.to_bytes()


async def test_quote__again_and_again__reads_once_in_half_a_minute(
    book: TermsBook, chain: Chain, clock: SimpleNamespace
) -> None:
    for _ in range(5):
        await book.quote(request())
    assert chain.n_reads == 1
    clock.now_s += terms_module.KEPT_S + 1
    await book.quote(request())
    assert chain.n_reads == 2


async def test_quote__a_version_is_announced__is_read_again_and_when_it_serves(
    book: TermsBook, chain: Chain, clock: SimpleNamespace
) -> None:
    await book.quote(request())
    chain.announced = 2
    position = requested().position
    book.note(VersionAnnounced(position, VersionNumber(2), MODEL, Cid("x"), 1_000))
    cheap = await book.quote(request())
    assert (chain.n_reads, cheap.ceiling_wei) == (2, gwei(CHEAP.max_fee_gwei))
    chain.current, chain.announced = 2, None
    clock.now_s += 6  # the announced one serves five seconds after the chain's time
    assert (await book.quote(request())).ceiling_wei == gwei(DEAR.max_fee_gwei)


async def test_quote__refusals__each_in_its_own_words(book: TermsBook, chain: Chain) -> None:
    with pytest.raises(ModelNotFound):
        await book.quote(replace(request(), model_id=ModelId("other")))
    with pytest.raises(InvalidRequest) as too_dear:
        await book.quote(request(max_fee_wei=Wei(1)))
    assert too_dear.value.field == "max_fee"
    with pytest.raises(InvalidRequest) as too_long:
        await book.quote(request(max_tokens=CHEAP.max_output_tokens + 1))
    assert too_long.value.field == "max_tokens"
    with pytest.raises(InvalidRequest):
        await book.quote(request(max_tokens=0))


@pytest.mark.parametrize(
    ("change", "error"), [({"is_active": False}, ModelNotFound), ({"n_entries": 0}, NoCapacity)]
)
async def test_quote__model_takes_no_jobs__refused_until_it_does(
    book: TermsBook,
    chain: Chain,
    clock: SimpleNamespace,
    change: dict[str, Any],
    error: type[Exception],
) -> None:
    for name, value in change.items():
        setattr(chain, name, value)
    for _ in range(3):
        with pytest.raises(error):
            await book.quote(request())
    assert chain.n_reads == 1
    chain.is_active, chain.n_entries = True, 1
    clock.now_s += terms_module.KEPT_REFUSAL_S + 1
    await book.quote(request())


async def test_quote__chain_is_silent__network_unavailable(book: TermsBook, chain: Chain) -> None:
    chain.is_silent = True
    with pytest.raises(NetworkUnavailable):
        await book.quote(request())
    chain.is_silent = False
    await book.quote(request())


async def test_quote__names_made_up_by_strangers__are_not_kept_for_ever(
    book: TermsBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms_module, "MODELS_KEPT", 3)
    for number in range(10):
        with pytest.raises(ModelNotFound):
            await book.quote(replace(request(), model_id=ModelId(f"name {number}")))
    assert len(book._shelves) == 3
