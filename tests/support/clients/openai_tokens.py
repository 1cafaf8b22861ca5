"""Run by the interpreter that has `openai`: prompts as tokens and rated ones, told as JSON."""

import json
import sys

import openai

url, key, model, *prompts = sys.argv[1:]
# An account runs so many tasks at once, and one is over when the chain has its answer.
client = openai.OpenAI(base_url=url, api_key=key, max_retries=10)
PROMPTS = [json.loads(prompt) for prompt in prompts]  # each a text, or a list of tokens


def complete(prompt, **fields):
    asked = {"max_tokens": 4, "temperature": 0, **fields}
    return client.completions.create(model=model, prompt=prompt, **asked)


def choice(reply):
    (told,) = reply.choices
    return told.model_dump(include={"text", "logprobs", "finish_reason"})


def rated(prompt, **fields):
    return choice(complete(prompt, echo=True, logprobs=2, **fields))


def streamed(prompt):
    chunks = list(complete(prompt, echo=True, logprobs=2, stream=True))
    parts = [chunk.choices[0] for chunk in chunks if chunk.choices]
    return {
        "text": "".join(part.text for part in parts),
        "logprobs": [part.logprobs.model_dump() for part in parts if part.logprobs][-1],
        "finish_reason": parts[-1].finish_reason,
    }


def refusal(prompt, **fields):
    try:
        complete(prompt, **fields)
    except openai.APIStatusError as error:
        return [type(error).__name__, error.code]
    return None


print(
    json.dumps(
        {
            "plain": [choice(complete(prompt)) for prompt in PROMPTS],
            "together": [each.text for each in complete(PROMPTS).choices],
            "prompt_tokens": complete(PROMPTS).usage.prompt_tokens,
            "rated": [rated(prompt) for prompt in PROMPTS],
            "streamed": [streamed(prompt) for prompt in PROMPTS],
            "echo_alone": [rated(prompt, max_tokens=0) for prompt in PROMPTS],
            "too_long": refusal([5] * 5000),
            "unknown": refusal([2**31 - 1]),
        }
    )
)
