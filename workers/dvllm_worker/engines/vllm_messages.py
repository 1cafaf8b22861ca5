"""vLLM's dialect of the OpenAI API: the requests we send and the events we accept. Pure."""

from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError

from decentralized_vllm.protocol.errors import EngineRefused, EngineUnavailable
from decentralized_vllm.protocol.generation import (
    FinishReason,
    GenerationChunk,
    GenerationRequest,
    Message,
    PromptTokenLogprob,
    ResponseFormat,
    TokenLogprob,
)
from decentralized_vllm.protocol.json_schemas import schema_of
from decentralized_vllm.protocol.tool_schemas import forced_schema, parameters_of
from decentralized_vllm.protocol.tools import Tool
from dvllm_worker.engines.vllm_errors import told_of
from dvllm_worker.engines.vllm_logprobs import ServerLogprobs
from dvllm_worker.engines.vllm_tool_calls import CallDelta, CallReader, NoCalls

# Neutral values of what our parameters do not have, in case a server has defaults of its own.
NEUTRAL = {"min_p": 0.0, "repetition_penalty": 1.0}

REFUSAL_STATUSES = frozenset({400, 413, 422})


def completion_path(request: GenerationRequest) -> str:
    return "/v1/chat/completions" if request.messages is not None else "/v1/completions"


def prompt_fields(request: GenerationRequest) -> dict[str, Any]:
    if request.token_ids is not None:
        return {"prompt": [*request.token_ids]}
    if request.messages is None:
        return {"prompt": request.prompt}
    fields: dict[str, Any] = {"messages": [_message_field(each) for each in request.messages]}
    if request.tools is not None:
        fields["tools"] = [_tool_field(tool) for tool in request.tools.functions]
    return fields


def _message_field(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        fields["content"] = message.content or None  # templates ask whether there is any
        fields["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def _tool_field(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": parameters_of(tool)}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def completion_body(request: GenerationRequest, model: str, max_tokens: int) -> dict[str, Any]:
    """Every field that is ever sent. Nothing a requester writes can add another one."""
    parameters = request.parameters
    body: dict[str, Any] = {
        "model": model,
        **prompt_fields(request),
        "max_tokens": max_tokens,
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        "top_k": parameters.top_k,
        "stop": list(parameters.stop),
        "presence_penalty": parameters.presence_penalty,
        "frequency_penalty": parameters.frequency_penalty,
        **NEUTRAL,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_token_ids": True,
    }
    if parameters.seed is not None:
        body["seed"] = parameters.seed
    if parameters.response_format is not None:
        body["response_format"] = _format_field(parameters.response_format)
    return {**body, **_logprobs_fields(request), **_choice_fields(request)}


def _choice_fields(request: GenerationRequest) -> dict[str, Any]:
    """A forced call is a matter of grammar here: the server can force one only with a parser.

    Its tools are shown all the same. Stop strings would cut the call's JSON.
    """
    tools = request.tools
    if tools is None:
        return {}
    if not tools.are_forced:
        return {"tool_choice": "auto", "parallel_tool_calls": tools.are_parallel}
    form = {"type": "json_schema", "json_schema": {"name": "call", "schema": forced_schema(tools)}}
    return {"tool_choice": "none", "response_format": form, "stop": []}


def _format_field(form: ResponseFormat) -> dict[str, Any]:
    schema = schema_of(form)
    if schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _logprobs_fields(request: GenerationRequest) -> dict[str, Any]:
    n_top = request.parameters.logprobs
    if n_top is None:
        return {}
    if request.parameters.prompt_logprobs:  # the field of this name is not for streams
        return {"logprobs": n_top, "echo": True}
    if request.messages is None:
        return {"logprobs": n_top}
    return {"logprobs": True, "top_logprobs": n_top}


class _Delta(BaseModel):
    content: str | None = None
    tool_calls: list[CallDelta] | None = None


class _Choice(BaseModel):
    delta: _Delta | None = None  # chat
    text: str | None = None  # completion
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None  # completion, first event
    finish_reason: str | None = None
    logprobs: ServerLogprobs | None = None


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int


class _Event(BaseModel):
    model: str | None = None
    choices: list[_Choice] = []
    prompt_token_ids: list[int] | None = None  # chat, first event
    usage: _Usage | None = None
    error: Any = None


class WrongModel(EngineUnavailable):
    """The server answers with another model than it was asked for, or knows it no more."""


class AnswerReader:
    """Turns the events of one answer into chunks and checks them against each other.

    The last chunk is kept until the server's own count confirms it. Calls of tools come with it.
    """

    def __init__(
        self,
        model: str,
        n_top_logprobs: int | None = None,
        calls: CallReader | None = None,
        *,
        is_prompt_rated: bool = False,
    ) -> None:
        self._model = model
        self._is_prompt_rated = is_prompt_rated
        self._calls = calls or NoCalls()
        self._n_top_logprobs = n_top_logprobs
        self._n_prompt_tokens = 0
        self._n_output_tokens = 0
        self._last: GenerationChunk | None = None

    def read(self, data: bytes) -> GenerationChunk | None:
        """One event. Raises EngineUnavailable for what no healthy server sends, EngineRefused for
        a request that it finds wrong only now, such as a token id that is none of the model's.
        """
        event = _parse(data)
        if event.error is not None:
            is_refused = self._n_output_tokens == 0 and _code(event.error) in REFUSAL_STATUSES
            kind = EngineRefused if is_refused else EngineUnavailable
            raise kind(f"the vLLM server failed: {told_of(event.error)}")
        if event.model != self._model:
            raise WrongModel(f"the vLLM server answers with {event.model!r}, not {self._model!r}")
        chunk = self._choice(event) if event.choices else None
        return self._confirm(event.usage) if event.usage is not None else chunk

    def _choice(self, event: _Event) -> GenerationChunk | None:
        choice = event.choices[0]
        prompt_ids = event.prompt_token_ids or choice.prompt_token_ids
        self._n_prompt_tokens = len(prompt_ids) if prompt_ids else self._n_prompt_tokens
        text = (choice.delta.content if choice.delta else choice.text) or ""
        if choice.token_ids is None:
            if text or choice.finish_reason:
                raise EngineUnavailable("the server returns no token ids: is it vLLM?")
            return None
        self._n_output_tokens += len(choice.token_ids)
        deltas = (choice.delta.tool_calls if choice.delta else None) or ()
        of_prompt, of_answer = self._cut(choice.logprobs, prompt_ids)
        chunk = GenerationChunk(
            self._calls.take(text, deltas),
            tuple(choice.token_ids),
            self._n_prompt_tokens,
            logprobs=self._logprobs(of_answer),
            prompt_logprobs=of_prompt,
        )
        reason = _finish_reason(choice.finish_reason)
        if reason is None:
            return chunk
        self._last = self._finished(chunk, reason)
        return None

    def _finished(self, chunk: GenerationChunk, told: FinishReason) -> GenerationChunk:
        """The server tells of calls in its own way: of forced ones not at all."""
        is_cut = told is FinishReason.LENGTH
        calls = self._calls.calls(is_cut=is_cut)
        reason = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
        return replace(chunk, finish_reason=told if is_cut else reason, tool_calls=calls)

    def _cut(
        self, told: ServerLogprobs | None, prompt_ids: list[int] | None
    ) -> tuple[tuple[PromptTokenLogprob, ...], ServerLogprobs | None]:
        """The event that names the prompt's tokens rates them too, if they are to be rated."""
        if not (self._is_prompt_rated and told and prompt_ids):
            return (), told
        of_prompt, of_answer = told.cut(len(prompt_ids))
        return of_prompt.to_prompt_logprobs(self._n_top_logprobs or 0), of_answer

    def _logprobs(self, told: ServerLogprobs | None) -> tuple[TokenLogprob, ...]:
        if told is None or self._n_top_logprobs is None:
            return ()
        return told.to_logprobs(self._n_top_logprobs)

    def _confirm(self, usage: _Usage) -> GenerationChunk:
        if self._last is None:
            raise EngineUnavailable("the vLLM server counts an answer that has no end")
        seen = (self._n_prompt_tokens, self._n_output_tokens)
        if seen != (usage.prompt_tokens, usage.completion_tokens):
            raise EngineUnavailable(
                f"the vLLM server counts {usage.prompt_tokens} + {usage.completion_tokens} tokens,"
                f" but sent {seen[0]} + {seen[1]}"
            )
        return self._last


def _code(error: object) -> int | None:
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) else None


def _parse(data: bytes) -> _Event:
    try:
        return _Event.model_validate_json(data)
    except ValidationError as error:
        raise EngineUnavailable("the vLLM server sent what is not an event") from error


def _finish_reason(text: str | None) -> FinishReason | None:
    if text is None:
        return None
    try:
        return FinishReason(text)
    except ValueError:
        raise EngineUnavailable(f"the vLLM server ended an answer with {text!r}") from None
