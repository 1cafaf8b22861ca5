"""Run by the interpreter that has `langchain-openai`: tools bound, called and streamed, as JSON."""

import json
import sys

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

url, key, model = sys.argv[1:4]
chat = ChatOpenAI(base_url=url, api_key=key, model=model, max_tokens=50, max_retries=0)


@tool
def count(words: list[str]) -> int:
    """Counts words."""
    return len(words)


hello = HumanMessage("Hello there")
bound = chat.bind_tools([count])
first = bound.invoke([hello])
results = [
    ToolMessage(str(count.invoke(c["args"])), tool_call_id=c["id"]) for c in first.tool_calls
]
last = bound.invoke([hello, first, *results])
whole = None
for chunk in bound.stream([hello]):
    whole = chunk if whole is None else whole + chunk
forced = chat.bind_tools([count], tool_choice="count").invoke([hello])
print(
    json.dumps(
        {
            "called": [[c["name"], c["args"]] for c in first.tool_calls],
            "results": [result.content for result in results],
            "answer": last.content,
            "streamed": [[c["name"], c["args"]] for c in whole.tool_calls],
            "forced": [c["name"] for c in forced.tool_calls],
        }
    )
)
