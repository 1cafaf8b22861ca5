"""Models are built whole, once, and only from files that the network accepts."""

import json
import multiprocessing
from pathlib import Path

import pytest

from decentralized_vllm.protocol.errors import StorageFull
from dvllm_devnet.models.building import (
    ACCEPTED_NAMES,
    ModelBuildFailed,
    build_once,
    need_space,
    run_python,
)
from dvllm_devnet.models.tiny import tiny_model
from tests.support.engines import smollm2_model_path


def write_model(work: Path) -> None:
    (work / "config.json").write_text("{}")


def test_build__first_and_second_call__made_once(tmp_path: Path) -> None:
    target = tmp_path / "models" / "m"
    assert build_once(target, write_model) == target

    def never(work: Path) -> None:
        raise AssertionError("built twice")

    assert build_once(target, never) == target
    assert [each.name for each in target.iterdir()] == ["config.json"]


def test_build__fails__nothing_half_done(tmp_path: Path) -> None:
    def fail(work: Path) -> None:
        write_model(work)
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        build_once(tmp_path / "m", fail)
    assert [each.name for each in tmp_path.iterdir()] == ["m.lock"]


def test_build__left_over_from_a_killed_build__removed_by_the_next(tmp_path: Path) -> None:
    leftover = tmp_path / ".m.unfinished-x"
    leftover.mkdir()
    (leftover / "model.safetensors").write_bytes(b"half")
    build_once(tmp_path / "m", write_model)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m", "m.lock"]


def test_build__files_nobody_accepts__left_out(tmp_path: Path) -> None:
    def messy(work: Path) -> None:
        write_model(work)
        (work / "download").mkdir()
        (work / "download" / "model.gguf").write_bytes(b"")
        (work / "README.md").write_text("")

    target = build_once(tmp_path / "m", messy)
    assert [each.name for each in target.iterdir()] == ["config.json"]


def _build_counting(folder: Path) -> None:
    def count(work: Path) -> None:
        write_model(work)
        with (folder / "builds").open("a") as log:
            log.write("x")

    build_once(folder / "m", count)


def test_build__two_processes_at_once__one_builds(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    builders = [context.Process(target=_build_counting, args=(tmp_path,)) for _ in range(2)]
    for each in builders:
        each.start()
    for each in builders:
        each.join()
    assert [each.exitcode for each in builders] == [0, 0]
    assert (tmp_path / "builds").read_text() == "x"


def test_run_python__tool_fails__last_lines_in_the_error() -> None:
    with pytest.raises(ModelBuildFailed, match=r"downloading failed:(?s:.)*no network"):
        run_python(["-c", "raise SystemExit('no network')"], doing="downloading")


def test_need_space__disk_too_full__said_before_writing(tmp_path: Path) -> None:
    need_space(tmp_path, 1)
    with pytest.raises(StorageFull, match="MiB"):
        need_space(tmp_path, 1 << 60)


def test_tiny__built_twice__same_bytes(tmp_path: Path) -> None:
    first, second = (tiny_model(tmp_path / name, dtype="float32", seed=0) for name in "ab")
    names = sorted(each.name for each in first.iterdir())
    assert names == sorted(each.name for each in second.iterdir())
    assert set(names) <= set(ACCEPTED_NAMES)
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_tiny__other_seed__other_weights(tmp_path: Path) -> None:
    first, second = (tiny_model(tmp_path, dtype="bfloat16", seed=seed) for seed in (1, 2))
    assert json.loads((first / "config.json").read_text())["dtype"] == "bfloat16"
    weights = [(each / "model.safetensors").read_bytes() for each in (first, second)]
    assert weights[0] != weights[1]


def test_smollm2__packaged__model_directory_with_a_chat_template() -> None:
    model = smollm2_model_path()
    names = {each.name for each in model.iterdir()}
    assert {"config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"} <= names
    assert names <= set(ACCEPTED_NAMES)
    config = json.loads((model / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["dtype"] == "bfloat16"
