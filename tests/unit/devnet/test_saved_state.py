import pytest

from dvllm_devnet import saved_state
from dvllm_devnet.errors import AlreadyRunning, UnusableState
from dvllm_devnet.layout import Layout


@pytest.fixture
def layout(tmp_path):
    """A network that ran once and ended well, with one worker."""
    layout = Layout(tmp_path / "home")
    layout.chain_state.parent.mkdir(parents=True)
    layout.chain_state.write_text('{"block": 7}')
    layout.worker(1).mkdir()
    (layout.worker(1) / "worker.sqlite").write_text("rows")
    layout.deployment.write_text("{}")
    saved_state.begin(layout)
    saved_state.end(layout)
    return layout


def journal(layout):
    return layout.worker(1) / "worker.sqlite"


def test_begin__after_a_clean_end__changes_nothing(layout):
    assert saved_state.begin(layout) == []
    assert journal(layout).read_text() == "rows"
    assert layout.chain_state.read_text() == '{"block": 7}'


def test_begin__after_a_kill__sets_the_journals_aside(layout):
    saved_state.begin(layout)
    mends = saved_state.begin(layout)
    assert len(mends) == 1
    assert not journal(layout).exists()
    assert (layout.worker(1) / saved_state.ASIDE / "worker.sqlite").read_text() == "rows"


def test_begin__state_cut_off__goes_back_to_the_last_good_one(layout):
    layout.chain_state.write_text('{"block": 8, "acc')
    mends = saved_state.begin(layout)
    assert layout.chain_state.read_text() == '{"block": 7}'
    assert len(mends) == 2
    assert not journal(layout).exists()


def test_begin__no_good_state_left__says_what_helps(layout):
    layout.chain_state.write_text("{")
    layout.good_chain_state.write_text("{")
    with pytest.raises(UnusableState, match="FRESH=1"):
        saved_state.begin(layout)


def test_begin__chain_state_gone__forgets_what_was_on_that_chain(layout):
    layout.chain_state.unlink()
    layout.good_chain_state.unlink()
    saved_state.begin(layout)
    assert not layout.deployment.exists()
    assert not journal(layout).exists()


def test_wipe__leaves_only_the_lock(layout):
    with saved_state.hold(layout):
        saved_state.wipe(layout)
        assert [entry for entry in layout.home.iterdir() if entry != layout.lock] == []


def test_wipe__content_kept__models_and_stores_stay(layout):
    for kept in (layout.store, layout.worker(1) / "store", layout.worker(1) / "models"):
        kept.mkdir()
    saved_state.wipe(layout, keep_content=True)
    assert not layout.chain_state.exists()
    assert not journal(layout).exists()
    assert sorted(entry.name for entry in layout.worker(1).iterdir()) == ["models", "store"]
    assert layout.store.is_dir()


def test_hold__twice__is_refused_and_free_again_afterwards(layout):
    with saved_state.hold(layout), pytest.raises(AlreadyRunning), saved_state.hold(layout):
        pass
    with saved_state.hold(layout):
        pass
