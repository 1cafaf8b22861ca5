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
            "unknown_model": refusal,
        }
    )
)
