"""`POST /stake`, `/unstake`, `/withdraw`, `/register`, `/serve-model`, `/deregister`: the node's
own key orders what this process, which holds that key, then sends."""

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web
from pydantic import ValidationError

from decentralized_vllm.protocol.errors import DvllmError, RetryableError
from dvllm_worker.http.errors import first_problem, refusal
from dvllm_worker.http.owners import Owners
from dvllm_worker.office.orders import ORDERS, Order
from dvllm_worker.office.treasury import Told

Do = Callable[[Order], Awaitable[Told]]


class OrderDoor:
    def __init__(self, do: Do, owners: Owners) -> None:
        self._do = do
        self._owners = owners

    def routes(self) -> list[web.RouteDef]:
        return [web.post(kind.path, partial(self._post, kind)) for kind in ORDERS]

    async def _post(self, kind: type[Order], request: web.Request) -> web.Response:
        """Answers when the chain has confirmed it, with what the command prints."""
        body = await self._owners.body_of(request)
        try:
            return web.json_response(await self._do(kind.model_validate_json(body)))
        except ValidationError as error:
            return refusal(400, first_problem(error))
        except DvllmError as error:
            return _failed(error)


def _failed(error: DvllmError) -> web.Response:
    """With all that a command tells of an error."""
    told = {"error": error.message, "kind": type(error).__name__, "hint": error.hint}
    return web.json_response(told, status=503 if isinstance(error, RetryableError) else 422)
