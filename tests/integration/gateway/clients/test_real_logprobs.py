"""Other people's clients rate texts with a real model, as transformers does on the same files."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch
import transformers

from tests.support.clients.programs import HERE, LM_EVAL, installed, run, told_by_python
from tests.support.engines import smollm2_model_path
from tests.support.real_model_network import RealModel, serving_smollm2

TASKS = HERE / "lm_eval_choice"
TEXT = "The cat sleeps on the sofa, and Łódź is a city."
TOLERANCE = 2e-3  # in nats, of sums of float32 in another order

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.long,
    pytest.mark.vllm,
    pytest.mark.timeout(900),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealModel]:
    async with serving_smollm2(tmp_path_factory.mktemp("net")) as served:
        yield served


class Reference:
    """The model by itself, the whole of a text at once."""

    def __init__(self) -> None:
        path = smollm2_model_path()
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(path)
        self._model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)

    def ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text).input_ids)

    def text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(ids))

    def rows(self, ids: Sequence[int]) -> torch.Tensor:
        """Log-probabilities [tokens, vocabulary] of what follows each."""
        with torch.inference_mode():
            return self._model(torch.tensor([[*ids]])).logits[0].log_softmax(dim=-1)

    def logprobs(self, ids: Sequence[int]) -> list[float]:
        """Of each token but the first."""
        rows = self.rows(ids)
        return [float(rows[place, each]) for place, each in enumerate(ids[1:])]

    def continuation(self, ids: Sequence[int], n_tokens: int) -> list[int]:
        made = self._model.generate(
            torch.tensor([[*ids]]), max_new_tokens=n_tokens, do_sample=False, repetition_penalty=1.0
        )
        return [int(each) for each in made[0, len(ids) :]]


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


async def test_openai_for_python__tokens_and_echo__as_transformers_has_it(
    served: RealModel, reference: Reference
) -> None:
    ids = reference.ids(TEXT)
    prompts = (json.dumps(ids), json.dumps(ids[:3]))
    told = await told_by_python("openai_tokens.py", *served.arguments, *prompts)
    for index, prompt in enumerate((ids, ids[:3])):
        made = reference.continuation(prompt, 4)
        answer = reference.text(made)
        assert told["plain"][index]["text"] == told["together"][index] == answer
        echoed = told["rated"][index]
        assert echoed["text"] == "".join(echoed["logprobs"]["tokens"])
        assert echoed["text"] == reference.text(prompt) + answer
        check_ratings(echoed["logprobs"], reference, [*prompt, *made])
        assert told["streamed"][index] == echoed
        alone = told["echo_alone"][index]
        assert alone["text"] == reference.text(prompt)
        check_ratings(alone["logprobs"], reference, prompt)
    assert told["prompt_tokens"] == len(ids) + 3
    assert told["too_long"] == ["BadRequestError", "context_length_exceeded"]
    assert told["unknown"] == ["BadRequestError", None]


async def test_openai_for_python__echo_of_a_text__the_same(
    served: RealModel, reference: Reference
) -> None:
    told = await told_by_python("openai_tokens.py", *served.arguments, json.dumps(TEXT))
    ids = reference.ids(TEXT)
    (echoed,) = told["rated"]
    assert told["streamed"] == [echoed]
    assert echoed["text"].startswith(TEXT)
    check_ratings(echoed["logprobs"], reference, [*ids, *reference.continuation(ids, 4)])


def check_ratings(told: dict[str, Any], reference: Reference, ids: Sequence[int]) -> None:
    """Of each token, and of the best at its place."""
    assert told["token_logprobs"][0] is None
    assert told["top_logprobs"][0] is None
    assert told["token_logprobs"][1:] == pytest.approx(reference.logprobs(ids), abs=TOLERANCE)
    best = reference.rows(ids)[: len(ids) - 1].amax(dim=-1).tolist()
    told_best = [max(each.values()) for each in told["top_logprobs"][1:]]
    assert told_best == pytest.approx(best, abs=TOLERANCE)
    offsets = [len("".join(told["tokens"][:place])) for place in range(len(told["tokens"]))]
    assert told["text_offset"] == offsets


@pytest.mark.parametrize("as_tokens", [True, False])
async def test_lm_eval__multiple_choice__likelihoods_are_the_models_own(
    served: RealModel, reference: Reference, as_tokens: bool, tmp_path: Path
) -> None:
    program = installed(LM_EVAL / "lm_eval", ".venv-lm-eval")
    asked = (
        f"model={served.model},base_url={served.v1}/completions,num_concurrent=2,max_length=512,"
        f"tokenizer={smollm2_model_path()},tokenized_requests={as_tokens},max_retries=10"
    )
    await run(
        str(program),
        *("--model", "local-completions", "--model_args", asked),
        *("--include_path", str(TASKS), "--tasks", "dvllm_choice"),
        *("--output_path", str(tmp_path / "scores"), "--log_samples"),
        cwd=TASKS,
        timeout_s=600,
        OPENAI_API_KEY=served.key,
        HF_HOME=str(tmp_path / "hub"),
    )
    (report,) = (tmp_path / "scores").rglob("results_*.json")
    (samples,) = (tmp_path / "scores").rglob("samples_*.jsonl")
    logged = [json.loads(line) for line in samples.read_text().splitlines()]
    n_right = 0
    for sample in logged:
        expected = [likelihood(reference, sample["doc"], c) for c in sample["doc"]["choices"]]
        told = [float(logprob) for ((logprob, _),) in sample["resps"]]
        assert told == pytest.approx([each for each, _ in expected], abs=TOLERANCE)
        assert [greedy for ((_, greedy),) in sample["resps"]] == [str(g) for _, g in expected]
        n_right += told.index(max(told)) == sample["doc"]["label"]
    assert len(logged) == len((TASKS / "choice.jsonl").read_text().splitlines())
    scores = json.loads(report.read_text())["results"]["dvllm_choice"]
    assert scores["acc,none"] == n_right / len(logged)


def likelihood(reference: Reference, doc: dict[str, Any], answer: str) -> tuple[float, bool]:
    """Of an answer behind its question, and whether a greedy model would give it."""
    n_question = len(reference.ids(doc["question"]))
    ids = reference.ids(f"{doc['question']} {answer}")
    best = reference.rows(ids)[n_question - 1 : -1].argmax(dim=-1).tolist()
    return sum(reference.logprobs(ids)[n_question - 1 :]), best == ids[n_question:]
