"""Handlers of /api/status, /api/peers and /api/resources."""

from aiohttp import web

from dvllm_gateway.dialects.dvllm import rendering, schemas
from dvllm_gateway.http.operation import Call, Reply
from dvllm_gateway.http.replies import LastRendered
from dvllm_gateway.services.resources import Allocation


class StatusHandler:
    """Balancers and clients ask all the time, and the answer is the same for up to a second."""

    def __init__(self) -> None:
        self._rendered = LastRendered(rendering.status_reply)

    async def get(self, call: Call[None, None]) -> web.Response:
        return self._rendered.reply(await call.core.network.status())


async def get_peers(call: Call[None, None]) -> Reply:
    peers = await call.core.network.peers()
    return Reply(schemas.PeersReply(peers=[rendering.peer_item(peer) for peer in peers]))


async def get_resources(call: Call[None, None]) -> Reply:
    return Reply(rendering.resources_reply(await call.core.resources.read()))


async def post_resources(call: Call[schemas.ResourcesBody, None]) -> Reply:
    wish = Allocation(call.body.cpu, call.body.memory, call.body.gpu, call.body.storage)
    return Reply(rendering.resources_reply(await call.core.resources.change(wish)))
