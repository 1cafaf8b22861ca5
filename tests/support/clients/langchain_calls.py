"""Run by the interpreter that has `langchain-openai`: invoke and stream, as JSON."""

import json
import sys

from langchain_openai import ChatOpenAI

url, key, model = sys.argv[1:4]
chat = ChatOpenAI(base_url=url, api_key=key, model=model, max_tokens=6, max_retries=0)
whole = chat.invoke("Hello there")
pieces = [chunk.content for chunk in chat.stream("Hello there")]
print(
    json.dumps(
        {
            "text": whole.content,
            "output_tokens": whole.usage_metadata["output_tokens"],
            "streamed": "".join(pieces),
        }
    )
)
