"""Run by the interpreter that has `langchain-openai`: invoke, stream and embed, as JSON."""

import json
import sys

from langchain_openai import ChatOpenAI, OpenAIEmbeddings

url, key, model = sys.argv[1:4]
chat = ChatOpenAI(base_url=url, api_key=key, model=model, max_tokens=6, max_retries=0)
whole = chat.invoke("Hello there")
pieces = [chunk.content for chunk in chat.stream("Hello there")]
# Else it downloads a tokenizer, and sends tokens.
embedder = OpenAIEmbeddings(
    base_url=url, api_key=key, model=model, max_retries=0, check_embedding_ctx_length=False
)
print(
    json.dumps(
        {
            "text": whole.content,
            "output_tokens": whole.usage_metadata["output_tokens"],
            "streamed": "".join(pieces),
            "dimensions": [len(each) for each in embedder.embed_documents(["Hello", "there"])],
        }
    )
)
