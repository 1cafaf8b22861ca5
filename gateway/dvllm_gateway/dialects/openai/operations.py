"""Every operation of this dialect, and what together makes it a dialect."""

from collections.abc import Mapping

from dvllm_gateway.dialects.openai import models, replies, requests
from dvllm_gateway.dialects.openai.chat import Chat
from dvllm_gateway.dialects.openai.completions import Completions
from dvllm_gateway.dialects.openai.embeddings import Embeddings
from dvllm_gateway.dialects.openai.errors import OpenAiErrors
from dvllm_gateway.dialects.openai.leftovers import Leftovers
from dvllm_gateway.dialects.openai.options import OpenAiOptions
from dvllm_gateway.http.operation import Dialect, Operation
from dvllm_gateway.services.ports import LimitState, Rate
from dvllm_gateway.services.principals import Scope

NAME = "openai"
RATES: Mapping[str, Rate] = {
    "inference": Rate(100, 60),
    "status": Rate(10_000, 3600),
}


def openai_dialect(options: OpenAiOptions, rates: Mapping[str, Rate] = RATES) -> Dialect:
    return Dialect(
        name=NAME,
        title="decentralized-vllm, in OpenAI's words",
        operations=(*_generations(options), *_models()),
        errors=OpenAiErrors(),
        rates=rates,
        limit_headers=limit_headers,
    )


def limit_headers(limit: LimitState) -> Mapping[str, str]:
    return {
        "x-ratelimit-limit-requests": str(limit.limit),
        "x-ratelimit-remaining-requests": str(limit.remaining),
        "x-ratelimit-reset-requests": f"{limit.reset_s}s",
    }


def asks_stream(body: requests.ChatBody | requests.CompletionBody) -> bool:
    return bool(body.stream)


def _generations(options: OpenAiOptions) -> tuple[Operation, ...]:
    leftovers = Leftovers()
    return (
        Operation(
            name="createChatCompletion",
            method="POST",
            path="/v1/chat/completions",
            handler=Chat(options, leftovers).complete,
            rate_class="inference",
            summary="An answer to a chat, whole or as it is made",
            scope=Scope.INFER,
            body=requests.ChatBody,
            replies={200: replies.ChatReply},
            spends=True,
            streams=asks_stream,
        ),
        Operation(
            name="createCompletion",
            method="POST",
            path="/v1/completions",
            handler=Completions(options, leftovers).complete,
            rate_class="inference",
            summary="How a text goes on",
            scope=Scope.INFER,
            body=requests.CompletionBody,
            replies={200: replies.TextReply},
            spends=True,
            streams=asks_stream,
        ),
        Operation(
            name="createEmbedding",
            method="POST",
            path="/v1/embeddings",
            handler=Embeddings(options, leftovers).embed,
            rate_class="inference",
            summary="Vectors of texts, where a node of the model makes them",
            scope=Scope.INFER,
            body=requests.EmbeddingBody,
            replies={200: replies.EmbeddingsReply},
            spends=True,
        ),
    )


def _models() -> tuple[Operation, ...]:
    return (
        Operation(
            name="listModels",
            method="GET",
            path="/v1/models",
            handler=models.list_models,
            rate_class="status",
            summary="The registered models that take new jobs",
            scope=Scope.READ,
            replies={200: replies.ModelsReply},
        ),
        Operation(
            name="getModel",
            method="GET",
            path="/v1/models/{model:.+}",
            handler=models.get_model,
            rate_class="status",
            summary="One model; its id may hold slashes",
            scope=Scope.READ,
            replies={200: replies.ModelReply},
        ),
    )
