"""`python -m tests.bench.gateway.null_server PORT`: what LiteLLM's proxy stands before.

It answers at once, and as many words as the worker's null engine does.
"""

import sys

from aiohttp import web

REPLY = {
    "id": "chatcmpl-0",
    "object": "chat.completion",
    "created": 0,
    "model": "tiny",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Tell me of leases Tell me of leases"},
            "finish_reason": "length",
        }
    ],
    "usage": {"prompt_tokens": 4, "completion_tokens": 8, "total_tokens": 12},
}


async def complete(request: web.Request) -> web.Response:
    await request.read()
    return web.json_response(REPLY)


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
