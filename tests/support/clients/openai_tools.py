"""Run by the interpreter that has `openai`: a tool is offered, called, and its answer used."""

import json
import sys

import openai

url, key, model = sys.argv[1:4]
client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)
HELLO = [{"role": "user", "content": "Hello there"}]
COUNT = {
    "type": "function",
    "function": {
        "name": "count",
        "description": "Counts words",
        "parameters": {
            "type": "object",
            "properties": {"words": {"type": "array", "items": {"type": "string"}}},
            "required": ["words"],
        },
    },
}
OTHER = {"type": "function", "function": {"name": "other"}}


def count(words):
    return str(len(words))


def chat(messages=HELLO, **fields):
    return client.chat.completions.create(
        model=model, messages=messages, **{"max_tokens": 50, "tools": [COUNT, OTHER], **fields}
    )


def called(message):
    (call,) = message.tool_calls
    return [call.type, call.function.name, json.loads(call.function.arguments)]


def conversation():
    """The whole of it, as every agent does it."""
    first = chat().choices[0]
    (call,) = first.message.tool_calls
    result = {
        "role": "tool",
        "tool_call_id": call.id,
        "content": count(**json.loads(call.function.arguments)),
    }
    last = chat([*HELLO, first.message, result]).choices[0]
    return {
        "finish_reason": first.finish_reason,
        "content": first.message.content,
        "called": called(first.message),
        "answer": last.message.content,
        "answer_calls": last.message.tool_calls,
        "answer_finish_reason": last.finish_reason,
    }


def streamed():
    """By the client's own helper, which puts the pieces together."""
    with client.chat.completions.stream(
        model=model, messages=HELLO, max_tokens=50, tools=[COUNT]
    ) as stream:
        kinds = {event.type for event in stream}
        choice = stream.get_final_completion().choices[0]
    told = "tool_calls.function.arguments.done" in kinds
    return [told, choice.finish_reason, called(choice.message)]


def forced(choice):
    first = chat(tool_choice=choice, parallel_tool_calls=False).choices[0]
    return [first.finish_reason, called(first.message)[1]]


def refusal(**fields):
    try:
        chat(**fields)
    except openai.BadRequestError as error:
        return error.param
    return None


print(
    json.dumps(
        {
            "conversation": conversation(),
            "streamed": streamed(),
            "named": forced({"type": "function", "function": {"name": "other"}}),
            "required": forced("required"),
            "none": chat(tool_choice="none").choices[0].message.tool_calls,
            "unknown": refusal(tool_choice={"type": "function", "function": {"name": "x"}}),
            "functions": refusal(functions=[{"name": "f", "parameters": {}}], tools=openai.omit),
            "bad_name": refusal(tools=[{"type": "function", "function": {"name": "a b"}}]),
        }
    )
)
