"""The command `dvllm`: a requester's tasks, models and money from a shell."""

from decentralized_vllm.cli.main import main

__all__ = ["main"]
