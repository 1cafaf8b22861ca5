"""The prompt of a model without a chat template, and what is told of a template that fails."""

# A base model still gets an answerable prompt: one line per message, then the assistant's turn.
# Both engines use the same text, so the same request means the same tokens on each.
PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def told_of_failure(error: Exception, template: str) -> str:
    """Its words where the template itself has them; any others may quote the prompt."""
    words = str(error)
    return words if words and words in template else type(error).__name__
