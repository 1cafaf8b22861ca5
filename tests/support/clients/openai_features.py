"""Run by the interpreter that has `openai`: what only some engines do, told as JSON."""

import json
import sys

import openai

url, key, model = sys.argv[1:4]
client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)
HELLO = [{"role": "user", "content": "Hello there"}]
PERSON = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "strict": True,
        "schema": {"type": "object", "properties": {"name": {"type": "string"}}},
    },
}


def chat(**fields):
    return client.chat.completions.create(
        model=model, messages=HELLO, **{"max_tokens": 3, **fields}
    )


def refusal(**fields):
    try:
        chat(**fields)
    except openai.BadRequestError as error:
        return error.param
    return None


def rated(content):
    return [[t.token, t.logprob, t.bytes, [c.token for c in t.top_logprobs]] for t in content]


def rated_chat():
    return [rated(c.logprobs.content) for c in chat(logprobs=True, top_logprobs=2, n=2).choices]


def rated_stream():
    chunks = list(chat(logprobs=True, stream=True))
    told = [c.choices[0].logprobs for c in chunks if c.choices]
    return [rated(each.content) for each in told if each is not None]


def accumulated_stream():
    with client.chat.completions.stream(
        model=model, messages=HELLO, max_tokens=50, logprobs=True
    ) as stream:
        choice = stream.get_final_completion().choices[0]
    return choice.message.content, "".join(each.token for each in choice.logprobs.content)


def rated_completion(stream=False):
    reply = client.completions.create(
        model=model, prompt="Once more", max_tokens=2, logprobs=1, stream=stream
    )
    parts = [part.choices[0] for part in reply] if stream else reply.choices
    (told,) = [part.logprobs.model_dump() for part in parts if part.logprobs is not None]
    return told


print(
    json.dumps(
        {
            "chat": rated_chat(),
            "stream": rated_stream(),
            "accumulated": accumulated_stream(),
            "completion": rated_completion(),
            "completion_stream": rated_completion(stream=True),
            "object": json.loads(
                chat(response_format={"type": "json_object"}, max_tokens=50)
                .choices[0]
                .message.content
            ),
            "penalized": chat(presence_penalty=0.5, frequency_penalty=-1).choices[0].finish_reason,
            "schema": refusal(response_format=PERSON),
            "too_many": refusal(logprobs=True, top_logprobs=20),
        }
    )
)
