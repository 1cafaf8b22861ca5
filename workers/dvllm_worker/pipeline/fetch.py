"""Fetch: read the prompt behind the job's CID and cut it to what the job pays for."""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from decentralized_vllm.protocol.documents import MAX_PROMPT_BYTES
from decentralized_vllm.protocol.errors import ContentTooLarge
from decentralized_vllm.protocol.generation import SamplingParameters
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.prompts import parse_prompt
from decentralized_vllm.protocol.units import WEI_PER_GWEI
from dvllm_worker.pipeline.ports import PromptSearch, PromptSource
from dvllm_worker.pipeline.results import AdmittedJob, LoadedJob
from dvllm_worker.pipeline.rows import JobRow

SEED_BYTES = 6  # fits what JSON carries exactly


class Fetch:
    def __init__(self, prompts: PromptSource) -> None:
        self._prompts = prompts

    def searching(self, row: JobRow) -> AbstractAsyncContextManager[PromptSearch]:
        """Looks for the prompt from now on, before it is sure that the job is ours."""
        return self._prompts.searching(row.request.prompt_cid, max_bytes=MAX_PROMPT_BYTES)

    async def __call__(
        self, job: AdmittedJob, search: PromptSearch, *, timeout_s: float, longest_s: float
    ) -> LoadedJob:
        """Raises ContentUnavailable, OutOfReach, the ContentError family and InvalidPrompt."""
        try:
            data = await search.found(timeout_s=timeout_s, longest_s=longest_s)
        except ContentTooLarge as error:  # it names a limit, and not of what
            raise ContentTooLarge(f"the prompt is too large: {error.message}") from error
        request = parse_prompt(data).to_request(request_id(job))
        parameters = bounded(request.parameters, job.terms, job.state.escrow_wei)
        return LoadedJob(job, replace(request, parameters=seeded(parameters, job.key.digest)))


def request_id(job: AdmittedJob) -> str:
    return f"job-{job.key.job_id}-{job.key.digest.hex()[:8]}"


def bounded(parameters: SamplingParameters, terms: Terms, escrow_wei: Wei) -> SamplingParameters:
    """At most the tokens that the terms allow and the escrow can pay for, at least one.

    The prompt's tokens are left out of the sum: a requester without the tokenizer can not count
    them exactly, and should not see its answer cut for it.
    """
    allowed = min(parameters.max_tokens, terms.max_output_tokens)
    if terms.output_price_gwei:
        left_gwei = escrow_wei // WEI_PER_GWEI - terms.flat_fee_gwei
        allowed = min(allowed, left_gwei // terms.output_price_gwei)
    return replace(parameters, max_tokens=max(1, allowed))


def seeded(parameters: SamplingParameters, digest: bytes) -> SamplingParameters:
    """A job without a seed gets one from its request, so that an audit can sample it again."""
    if parameters.seed is not None:
        return parameters
    return replace(parameters, seed=int.from_bytes(digest[:SEED_BYTES], "big"))
