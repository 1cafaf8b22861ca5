"""GET /v1/models: the registered models."""

from decentralized_vllm.protocol.ids import ModelId
from dvllm_gateway.dialects.openai import replies
from dvllm_gateway.http.operation import Call, Reply
from dvllm_gateway.services.network import Model

OWNER = "decentralized-vllm"


async def list_models(call: Call[None, None]) -> Reply:
    models = await call.core.models.list(active_only=True)
    return Reply(replies.ModelsReply(data=[_model_reply(model) for model in models]))


async def get_model(call: Call[None, None]) -> Reply:
    return Reply(_model_reply(await call.core.models.get(ModelId(call.path["model"]))))


def _model_reply(model: Model) -> replies.ModelReply:
    """A publisher's model is named `<address>/<name>`; the others are the network owner's."""
    publisher, slash, _ = model.id.partition("/")
    is_published = bool(slash) and publisher.startswith("0x")
    return replies.ModelReply(
        id=model.id,
        created=model.registered_at_s,
        owned_by=publisher if is_published else OWNER,
    )
