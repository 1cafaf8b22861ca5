"""Our CIDs are those of other implementations."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.content.cid import ParsedCid, parse_cid
from decentralized_vllm.content.importer import cid_of_bytes, cid_of_path
from decentralized_vllm.content.profiles import PROFILES, V0, V1
from decentralized_vllm.protocol.errors import ContentMalformed, InvalidCid
from tests.support.cid_vectors import load_vectors, write_sample

VECTORS = load_vectors()["cids"]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("samples")
    return {name: write_sample(name, folder) for name in VECTORS}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", VECTORS)
def test_cid_of_path__recorded_input__equals_kubo(
    samples: dict[str, Path], name: str, profile: str
) -> None:
    assert cid_of_path(samples[name], PROFILES[profile]) == VECTORS[name][profile]


@pytest.mark.parametrize("name", ["b0", "b1", "b262144", "b262145", "b1000000"])
def test_cid_of_bytes__recorded_input__equals_the_file(samples: dict[str, Path], name: str) -> None:
    data = samples[name].read_bytes()
    assert cid_of_bytes(data) == VECTORS[name]["v1"]
    assert cid_of_bytes(data, V0) == VECTORS[name]["v0"]


@pytest.mark.parametrize("profile", PROFILES)
def test_parse_cid__recorded_text__formats_back(profile: str) -> None:
    for cids in VECTORS.values():
        assert parse_cid(cids[profile]).text() == cids[profile]


@given(st.binary(min_size=32, max_size=32), st.sampled_from([(0, 0x70), (1, 0x70), (1, 0x55)]))
def test_parse_cid__any_digest__round_trips(digest: bytes, kind: tuple[int, int]) -> None:
    cid = ParsedCid(*kind, digest)
    assert parse_cid(cid.text()) == cid


@given(st.text(max_size=70))
def test_parse_cid__any_text__is_a_cid_or_refused(text: str) -> None:
    try:
        cid = parse_cid(text)
    except InvalidCid:
        return
    assert parse_cid(cid.text()) == cid


GOOD = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "QmPromptHash123",
        "Qm" + "0" * 44,
        GOOD.upper(),
        GOOD + "a",
        GOOD[:-1],
        GOOD[:-1] + "v",  # spare bits set: another spelling of the same bytes
        "f" + "0155" * 18,
        "bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",  # dag-cbor
        "b" + "a" * 500,
        "../../etc/passwd",
    ],
)
def test_parse_cid__not_a_supported_cid__is_refused(text: str) -> None:
    with pytest.raises(InvalidCid):
        parse_cid(text)


def test_parse_cid__base58_v1__is_the_same_cid() -> None:
    from_base58 = parse_cid("zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA")
    assert from_base58.version == 1
    assert parse_cid(from_base58.text()) == from_base58


def test_cid_of_path__symlink__is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ContentMalformed, match="neither a file nor a directory"):
        cid_of_path(tmp_path / "tree", V1)
