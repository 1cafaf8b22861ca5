"""How messages become a prompt for a model that brings no chat template."""

# A base model still gets an answerable prompt: one line per message, then the assistant's turn.
# Both engines use the same text, so the same request means the same tokens on each.
PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
