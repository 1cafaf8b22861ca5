"""Run by the interpreter that has `openai`: a call forced out of a model that knows no tools."""

import json
import sys

import openai

url, key, model = sys.argv[1:4]
client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)
MESSAGES = [{"role": "user", "content": "name"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Oslo"]}, "is_warm": {"type": "boolean"}},
    "required": ["city", "is_warm"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
NAMED = {"type": "function", "function": {"name": "get_weather"}}


def call():
    choice = client.chat.completions.create(
        model=model, messages=MESSAGES, tools=[TOOL], tool_choice=NAMED, max_tokens=64
    ).choices[0]
    (told,) = choice.message.tool_calls
    arguments = json.loads(told.function.arguments)
    return choice, [choice.finish_reason, told.function.name, sorted(arguments)]


def streamed():
    with client.chat.completions.stream(
        model=model, messages=MESSAGES, tools=[TOOL], tool_choice=NAMED, max_tokens=64
    ) as stream:
        (told,) = stream.get_final_completion().choices[0].message.tool_calls
    return sorted(json.loads(told.function.arguments))


def answered(message):
    """A small model says anything, but it reads what the call brought."""
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "warm"}
    messages = [*MESSAGES, message, result]
    reply = client.chat.completions.create(model=model, messages=messages, max_tokens=4)
    return reply.usage.completion_tokens > 0


def chosen():
    try:
        client.chat.completions.create(model=model, messages=MESSAGES, tools=[TOOL], max_tokens=4)
    except openai.BadRequestError as error:
        return error.param
    return None


choice, called = call()
print(
    json.dumps(
        {
            "called": called,
            "streamed": streamed(),
            "answered": answered(choice.message),
            "chosen": chosen(),
        }
    )
)
