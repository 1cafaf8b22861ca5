"""From a request's body to the tasks it asks for: one per prompt and choice."""

from dataclasses import replace

from decentralized_vllm.protocol.documents import MAX_SAFE_INTEGER
from decentralized_vllm.protocol.errors import InvalidPrompt
from decentralized_vllm.protocol.generation import ResponseFormat, SamplingParameters
from decentralized_vllm.protocol.ids import ModelId
from decentralized_vllm.protocol.json_schemas import schema_format
from decentralized_vllm.protocol.prompts import PromptDocument, embedding_prompt
from dvllm_gateway.dialects.openai.requests import (
    ChatBody,
    CompletionBody,
    EmbeddingBody,
    GenerationBody,
    SchemaFormat,
    TextFormat,
)
from dvllm_gateway.errors import InvalidRequest, PromptTooLong
from dvllm_gateway.services.network import Model
from dvllm_gateway.services.tasks import TaskRequest

# OpenAI's own default of plain completions; a chat's is the most that the model sells.
COMPLETION_TOKENS = 16
TOKENS_SHOWN = 32


def chat_requests(body: ChatBody, model: Model, *, default_max_tokens: int) -> list[TaskRequest]:
    """One per choice. Raises InvalidRequest for what no engine of the network does."""
    _check_tokens(body, model)
    tools = body.offered
    messages = tuple(message.to_message() for message in body.messages)
    wanted = body.max_completion_tokens or body.max_tokens or default_max_tokens
    parameters = replace(
        _parameters(body, wanted if _is_asked(body) else _at_most(wanted, model)),
        logprobs=_n_likeliest(body),
        response_format=_format(body),
    )
    shown = messages[-1].content
    return [
        TaskRequest(
            ModelId(body.model),
            PromptDocument(messages=messages, parameters=_choice(parameters, i), tools=tools),
            shown,
        )
        for i in range(body.n or 1)
    ]


def _check_tokens(body: ChatBody, model: Model) -> None:
    """A task would refuse too many of them by their older name."""
    wanted = body.max_completion_tokens
    if wanted is not None and _at_most(wanted, model) < wanted:
        told = f"{wanted} is more than the {_at_most(wanted, model)} of this model"
        raise InvalidRequest(f"max_completion_tokens: {told}", field="max_completion_tokens")


def completion_requests(body: CompletionBody, model: Model) -> list[TaskRequest]:
    """For each prompt its choices, in OpenAI's order. Raises InvalidRequest."""
    if body.suffix:
        raise InvalidRequest("suffix: is not served by this network's engines", field="suffix")
    if body.max_tokens == 0 and not body.echo:
        raise InvalidRequest("max_tokens: 0 leaves nothing but an echo", field="max_tokens")
    for prompt in body.prompt:
        _check_prompt(prompt, model)
    parameters = _parameters(body, _completion_tokens(body, model))
    return [
        TaskRequest(
            ModelId(body.model),
            _completion(body, prompt, _choice(parameters, i)),
            prompt if isinstance(prompt, str) else _shown(prompt),
        )
        for prompt in body.prompt
        for i in range(body.n or 1)
    ]


def _check_prompt(prompt: str | list[int], model: Model) -> None:
    """How many tokens a text has only a node can tell."""
    if not prompt:
        raise InvalidRequest("prompt: is empty", field="prompt")
    longest = model.terms.max_input_tokens if model.terms else None
    if isinstance(prompt, list) and longest is not None and len(prompt) > longest:
        raise PromptTooLong(
            "prompt: is longer than the model's context length, "  # LiteLLM knows it by these words
            f"{len(prompt)} tokens of {longest}",
            field="prompt",
        )


def _completion_tokens(body: CompletionBody, model: Model) -> int:
    """At least one, also of an echo alone: an engine makes no less."""
    if body.max_tokens is not None:
        return max(1, body.max_tokens)
    return _at_most(COMPLETION_TOKENS, model)


def _completion(
    body: CompletionBody, prompt: str | list[int], parameters: SamplingParameters
) -> PromptDocument:
    """The text of an echo is known, or told by the node that rates its tokens."""
    if isinstance(prompt, str):
        rated = replace(
            parameters,
            logprobs=body.logprobs,
            prompt_logprobs=bool(body.echo) and body.logprobs is not None,
        )
        return PromptDocument(prompt=prompt, parameters=rated)
    n_likeliest = body.logprobs or 0 if body.echo else body.logprobs
    rated = replace(parameters, logprobs=n_likeliest, prompt_logprobs=bool(body.echo))
    return PromptDocument(token_ids=tuple(prompt), parameters=rated)


def _shown(token_ids: list[int]) -> str:
    first = ", ".join(map(str, token_ids[:TOKENS_SHOWN]))
    more = f", … ({len(token_ids)} in all)" if len(token_ids) > TOKENS_SHOWN else ""
    return f"token ids: {first}{more}"


def embedding_requests(body: EmbeddingBody) -> list[TaskRequest]:
    """One task for all inputs. Raises InvalidRequest."""
    if body.dimensions is not None:
        raise InvalidRequest("dimensions: a model's vectors are not cut", field="dimensions")
    if not all(body.input):
        raise InvalidRequest("input: is empty", field="input")
    shown = "\n".join(body.input)
    return [TaskRequest(ModelId(body.model), embedding_prompt(body.input), shown)]


def _parameters(body: GenerationBody, max_tokens: int) -> SamplingParameters:
    return SamplingParameters(
        max_tokens=max_tokens,
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        top_k=body.top_k or 0,
        stop=body.stops,
        seed=body.seed,
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
    )


def _n_likeliest(body: ChatBody) -> int | None:
    if body.logprobs:
        return body.top_logprobs or 0
    if body.top_logprobs:
        raise InvalidRequest("top_logprobs: needs logprobs", field="top_logprobs")
    return None


def _format(body: ChatBody) -> ResponseFormat | None:
    form = body.response_format
    if form is None or isinstance(form, TextFormat):
        return None
    if not isinstance(form, SchemaFormat):
        return ResponseFormat()
    try:
        return schema_format(form.json_schema.schema_)
    except InvalidPrompt as error:
        message = f"response_format: {error.message}"
        raise InvalidRequest(message, field="response_format") from error


def _choice(parameters: SamplingParameters, number: int) -> SamplingParameters:
    """Choices with one seed would all be the same."""
    if parameters.seed is None:
        return parameters
    return replace(parameters, seed=(parameters.seed + number) % (MAX_SAFE_INTEGER + 1))


def _is_asked(body: ChatBody) -> bool:
    return body.max_tokens is not None or body.max_completion_tokens is not None


def _at_most(n_tokens: int, model: Model) -> int:
    return n_tokens if model.terms is None else min(n_tokens, model.terms.max_output_tokens)
