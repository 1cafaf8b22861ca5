"""Run by the interpreter that has `openai`: every call that its users make, told as JSON."""

import json
import sys

import openai

url, key, model = sys.argv[1:4]
client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)
HELLO = [{"role": "user", "content": "Hello there"}]


def error_of(call):
    try:
        call()
    except openai.APIStatusError as error:
        return {"class": type(error).__name__, "status": error.status_code, "code": error.code}
    return None


def chat():
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=HELLO, max_tokens=6
    )
    reply = raw.parse()
    return {
        "text": reply.choices[0].message.content,
        "finish_reason": reply.choices[0].finish_reason,
        "usage": reply.usage.model_dump(include={"prompt_tokens", "completion_tokens"}),
        "id": reply.id,
        "job": raw.headers.get("x-dvllm-job-id"),
        "response_cid": raw.headers.get("x-dvllm-response-cid"),
        "receipt": raw.headers.get("x-dvllm-receipt"),
        "remaining": raw.headers.get("x-ratelimit-remaining-requests"),
    }


def streamed_chat():
    stream = client.chat.completions.create(
        model=model,
        messages=HELLO,
        max_tokens=6,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    pieces = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    return {
        "text": "".join(pieces),
        "pieces": len([piece for piece in pieces if piece]),
        "finish_reason": [c.choices[0].finish_reason for c in chunks if c.choices][-1],
        "completion_tokens": chunks[-1].usage.completion_tokens,
    }


def completion():
    reply = client.completions.create(model=model, prompt="Once", max_tokens=4, echo=True)
    return {"text": reply.choices[0].text, "object": reply.object}


def choices():
    reply = client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=4, n=2, seed=1, stop=["never"]
    )
    return [choice.index for choice in reply.choices]


def embeddings():
    """As the client asks by itself (base64), and as numbers."""
    packed = client.embeddings.create(model=model, input=["Hello there", "Good bye"])
    plain = client.embeddings.create(model=model, input="Good bye", encoding_format="float")
    return {
        "indices": [each.index for each in packed.data],
        "lengths": [len(each.embedding) for each in packed.data],
        "is_same": packed.data[1].embedding == plain.data[0].embedding,
        "norm": round(sum(x * x for x in plain.data[0].embedding), 3),
        "prompt_tokens": packed.usage.prompt_tokens,
    }


stranger = openai.OpenAI(base_url=url, api_key="dvk_nobody", max_retries=0)
print(
    json.dumps(
        {
            "models": [each.id for each in client.models.list()],
            "model": client.models.retrieve(model).id,
            "chat": chat(),
            "stream": streamed_chat(),
            "completion": completion(),
            "choices": choices(),
            "unknown_model": error_of(
                lambda: client.chat.completions.create(model="no-such", messages=HELLO)
            ),
            "embeddings": embeddings(),
            "token_embeddings": error_of(lambda: client.embeddings.create(model=model, input=[1])),
            "bad_temperature": error_of(
                lambda: client.chat.completions.create(model=model, messages=HELLO, temperature=9)
            ),
            "stranger": error_of(lambda: stranger.models.list()),
        }
    )
)
