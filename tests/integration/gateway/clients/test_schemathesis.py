"""schemathesis against the published description of each API: no answer outside of it, no 500."""

import pytest

from tests.integration.gateway.clients.conftest import Served
from tests.support.clients.programs import CLIENTS, installed, run

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("dialect", ["dvllm", "openai"])
async def test_schemathesis__finds_nothing(served: Served, dialect: str, tmp_path):
    program = installed(CLIENTS / "st", ".venv-clients")
    base = served.gateway.dvllm_url if dialect == "dvllm" else served.gateway.unified_url
    spec = f"{base}/openapi.json" if dialect == "dvllm" else f"{base}/openai/openapi.json"
    await run(
        str(program),
        *("run", spec, "--url", base, "--max-examples", "25", "--continue-on-failure"),
        *("--phases", "examples,coverage,fuzzing", "--generation-deterministic"),
        *("-H", f"Authorization: Bearer {served.key}"),
        cwd=tmp_path,
        timeout_s=580,
    )
