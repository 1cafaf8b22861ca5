"""Handlers of /api/status, /api/peers and /api/resources."""

from dvllm_gateway.dialects.dvllm import rendering, schemas
from dvllm_gateway.http.operation import Call, Reply
from dvllm_gateway.services.resources import Allocation


async def get_status(call: Call[None, None]) -> Reply:
    return Reply(rendering.status_reply(await call.core.network.status()))


async def get_peers(call: Call[None, None]) -> Reply:
    peers = await call.core.network.peers()
    return Reply(schemas.PeersReply(peers=[rendering.peer_item(peer) for peer in peers]))


async def get_resources(call: Call[None, None]) -> Reply:
    return Reply(rendering.resources_reply(await call.core.resources.read()))


async def post_resources(call: Call[schemas.ResourcesBody, None]) -> Reply:
    wish = Allocation(call.body.cpu, call.body.memory, call.body.gpu, call.body.storage)
    return Reply(rendering.resources_reply(await call.core.resources.change(wish)))
