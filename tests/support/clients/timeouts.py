"""Run by the interpreter that has them: after how many seconds clients take a call for lost.

LangChain's waits for ever.
"""

import json

import openai
from litellm.constants import COMPLETION_HTTP_FALLBACK_SECONDS

client = openai.OpenAI(api_key="none")
print(json.dumps([client.timeout.read, COMPLETION_HTTP_FALLBACK_SECONDS]))
