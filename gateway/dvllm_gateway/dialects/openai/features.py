"""What not every engine does: asked only of nodes that say they do it, refused before it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from decentralized_vllm.protocol.generation import Feature, SamplingParameters
from dvllm_gateway.errors import InvalidRequest
from dvllm_gateway.services.node_choice import able_node, unserved, writing_node
from dvllm_gateway.services.ports import Network
from dvllm_gateway.services.tasks import TaskRequest

_FIELDS: Mapping[Feature, str] = {
    Feature.LOGPROBS: "logprobs",
    Feature.JSON_OBJECT: "response_format",
    Feature.JSON_SCHEMA: "response_format",
    Feature.TOOLS: "tools",
    Feature.TOOL_CHOICE: "tool_choice",
    Feature.TOOL_MESSAGES: "messages",
    Feature.EMBEDDINGS: "model",
    Feature.TOKEN_PROMPTS: "prompt",
    Feature.PROMPT_LOGPROBS: "echo",
}


async def placed(network: Network, requests: Sequence[TaskRequest]) -> Sequence[TaskRequest]:
    """For nodes that do what is asked; the requests of one call ask for the same.

    Raises InvalidRequest if no node of the model does, NoCapacity if none has room.
    """
    parameters = requests[0].document.parameters
    wanted = requests[0].document.features
    nodes = await network.serving(requests[0].model_id)
    if not wanted:
        return [replace(request, node=writing_node(nodes)) for request in requests]
    for feature in sorted(unserved(nodes, wanted)):
        field = _field(feature, parameters)
        raise InvalidRequest(f"{field}: no node of this model serves {feature}", field=field)
    return [replace(request, node=able_node(nodes, wanted)) for request in requests]


def _field(feature: Feature, parameters: SamplingParameters) -> str:
    if feature is Feature.PENALTIES:
        return "presence_penalty" if parameters.presence_penalty else "frequency_penalty"
    return _FIELDS[feature]
