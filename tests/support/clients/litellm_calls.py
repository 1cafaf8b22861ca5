"""Run by the interpreter that has `litellm`: its calls against an OpenAI-like server, as JSON."""

import json
import sys

import litellm

url, key, model = sys.argv[1:4]
HELLO = [{"role": "user", "content": "Hello there"}]
asked = {"model": f"openai/{model}", "api_base": url, "api_key": key, "num_retries": 0}

whole = litellm.completion(messages=HELLO, max_tokens=6, **asked)
stream = litellm.completion(messages=HELLO, max_tokens=6, stream=True, **asked)
pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
PARAMETERS = {"type": "object", "properties": {"words": {"type": "array"}}}
TOOLS = [{"type": "function", "function": {"name": "count", "parameters": PARAMETERS}}]
calling = litellm.completion(messages=HELLO, tools=TOOLS, **asked).choices[0]
chunks = list(litellm.completion(messages=HELLO, tools=TOOLS, stream=True, **asked))
rebuilt = litellm.stream_chunk_builder(chunks, messages=HELLO).choices[0]


def called(choice):
    calls = [[c.function.name, json.loads(c.function.arguments)] for c in choice.message.tool_calls]
    return [choice.finish_reason, calls]


vectors = litellm.embedding(
    model=f"openai/{model}", input=["Hello there"], api_base=url, api_key=key, num_retries=0
)
try:
    litellm.completion(
        model="openai/no-such", messages=HELLO, api_base=url, api_key=key, num_retries=0
    )
    refusal = None
except litellm.NotFoundError as error:
    refusal = type(error).__name__
print(
    json.dumps(
        {
            "text": whole.choices[0].message.content,
            "completion_tokens": whole.usage.completion_tokens,
            "streamed": "".join(pieces),
            "called": called(calling),
            "called_streamed": called(rebuilt),
            "dimensions": [len(each["embedding"]) for each in vectors.data],
            "unknown_model": refusal,
        }
    )
)
