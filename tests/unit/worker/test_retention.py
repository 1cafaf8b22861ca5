"""Which prompts and answers nobody needs any more."""

from dataclasses import replace

from dvllm_worker.housekeeping import outdated_cids
from dvllm_worker.pipeline.stages import Stage
from tests.support.jobs import PROMPT_CID, RESPONSE_CID, row


def test_outdated__only_what_no_younger_job_needs() -> None:
    old = row(1, Stage.FINAL, response_cid=RESPONSE_CID, updated_s=10.0)
    young = row(2, Stage.FINAL, updated_s=100.0)
    assert outdated_cids([old, young], 50.0) == {RESPONSE_CID}
    assert outdated_cids([old], 50.0) == {RESPONSE_CID, PROMPT_CID}
    assert outdated_cids([replace(old, updated_s=60.0)], 50.0) == set()
