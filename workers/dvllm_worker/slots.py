"""How many jobs a node offers to run at once."""

from dvllm_worker.engines import transformers_engine, vllm_command
from dvllm_worker.engines.factory import DEFAULT_NULL_SLOTS, choose_engine
from dvllm_worker.settings import WorkerSettings

_DEFAULTS = {
    "vllm": vllm_command.DEFAULT_SLOTS,
    "transformers": transformers_engine.DEFAULT_SLOTS,
    "null": DEFAULT_NULL_SLOTS,
}


def declared_slots(settings: WorkerSettings) -> int:
    """What the operator says, else what the engine does at once."""
    stated = settings.node.slots or settings.engine.slots
    return stated or _DEFAULTS[choose_engine(settings.engine)]
