"""Vectors of texts by a causal language model: the mean of its last hidden states, normalised."""

from collections.abc import Sequence
from typing import Any

import torch

from dvllm_worker.engines.transformers_sampling import NotFiniteError


def mean_hidden_state(model: Any, token_ids: Sequence[int]) -> list[float]:
    """[hidden size], in float32. Raises NotFiniteError."""
    with torch.inference_mode():
        output = model.base_model(
            input_ids=torch.tensor([list(token_ids)], device=model.device), use_cache=False
        )
        vector = output.last_hidden_state[0].float().mean(dim=0)
        vector = torch.nn.functional.normalize(vector, dim=0)
    if not torch.isfinite(vector).all():
        raise NotFiniteError("the model's hidden states are not finite")
    values: list[float] = vector.tolist()
    return values
