"""How many input tokens a prompt has at most, for who has no tokenizer."""

from pydantic_core import to_json

from decentralized_vllm.protocol.generation import Message
from decentralized_vllm.protocol.prompts import PromptDocument
from decentralized_vllm.protocol.tools import Tool, Tools

# A chat template adds a system prompt and marks each turn; generous for the templates in use.
TEMPLATE_TOKENS = 96
TEMPLATE_TOKENS_PER_MESSAGE = 16
# With tools it adds how to call them; it may indent each schema, or spell it with more marks.
TEMPLATE_TOKENS_OF_TOOLS = 512
TEMPLATE_TOKENS_PER_CALL = 32
TEMPLATE_BYTES_PER_BYTE_OF_TOOLS = 3


def prompt_token_bound(document: PromptDocument) -> int:
    """A number of input tokens the prompt never exceeds, for who has no tokenizer.

    Tokenizers in use make at most one token of a byte; a template's marks come on top. Of token ids
    it is their exact number, since no engine adds to them.
    """
    if document.token_ids is not None:
        return len(document.token_ids)
    if document.inputs is not None:
        return sum(len(each.encode()) + TEMPLATE_TOKENS_PER_MESSAGE for each in document.inputs)
    if document.messages is None:
        return len((document.prompt or "").encode()) + TEMPLATE_TOKENS_PER_MESSAGE
    n_tokens = sum(map(_message_token_bound, document.messages))
    return n_tokens + TEMPLATE_TOKENS + _tools_token_bound(document.tools)


def _message_token_bound(message: Message) -> int:
    n_bytes = len(message.content.encode()) + len(message.tool_call_id or "")
    for call in message.tool_calls:
        n_bytes += len(call.arguments.encode()) * TEMPLATE_BYTES_PER_BYTE_OF_TOOLS
        n_bytes += len(call.id) + len(call.name) + TEMPLATE_TOKENS_PER_CALL
    return n_bytes + TEMPLATE_TOKENS_PER_MESSAGE


def _tools_token_bound(tools: Tools | None) -> int:
    if tools is None:
        return 0
    n_bytes = sum(map(_tool_bytes, tools.functions))
    n_marks = TEMPLATE_TOKENS_PER_CALL * len(tools.functions)
    return TEMPLATE_TOKENS_OF_TOOLS + n_marks + TEMPLATE_BYTES_PER_BYTE_OF_TOOLS * n_bytes


def _tool_bytes(tool: Tool) -> int:
    """As JSON, which is how most templates show it."""
    texts = len(to_json(tool.name)) + len(to_json(tool.description))
    return texts + len((tool.parameters or "").encode())
