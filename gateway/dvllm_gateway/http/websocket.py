"""WebSockets whatever the dialect: bounded queues, one writer per client, limits and closes.

A dialect says what frames mean (`Conversation`); nothing here knows of tasks or events.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from aiohttp import WSCloseCode, WSMsgType, web
from pydantic_core import from_json

from decentralized_vllm.protocol.canonical_json import check_depth
from decentralized_vllm.protocol.errors import InvalidDocument
from dvllm_gateway.errors import GatewayError, InvalidRequest, RateLimited
from dvllm_gateway.http.masks import WatchesMasks
from dvllm_gateway.http.metrics import METRICS, Metrics
from dvllm_gateway.http.visit import VISIT

QUEUED_FRAMES = 256
PING_EVERY_S = 20.0
MAX_FRAME_BYTES = 1_000_000
# What clients say is short: to read a megabyte of lists or of fields holds the loop.
MAX_FRAME_NODES = 1_000
MAX_FRAME_FIELDS = 64
LARGE_BYTES = 16_384
MAX_MALFORMED = 3
SOCKETS_PER_ADDRESS = 10
WRITE_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 5.0
RETRY_AFTER_S = 10

CLOSE_UNAUTHENTICATED = 4401


class SocketClient:
    """One open socket, to be written to from anywhere in the loop."""

    def __init__(self, socket: web.WebSocketResponse, metrics: Metrics, dialect: str) -> None:
        self._socket = socket
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUED_FRAMES)
        self._frames_sent = metrics.socket_frames.labels(dialect)
        self._slow_readers = metrics.slow_readers.labels("socket")
        self._close_code: int | None = None
        self._close_reason = b""

    def send(self, frame: bytes) -> None:
        """Never waits. Whoever is so far behind that the queue is full is let go."""
        if self._close_code is not None:
            return
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            self._slow_readers.inc()
            while not self._queue.empty():
                self._queue.get_nowait()
                self._queue.task_done()
            self.close(WSCloseCode.TRY_AGAIN_LATER, "reads too slowly")

    async def send_in_turn(self, frame: bytes) -> None:
        """Waits for room: for a replay, which comes faster than anybody reads.

        A large frame waits until all before it is written: a queue of them fills the memory.
        """
        if len(frame) > LARGE_BYTES:
            await self._queue.join()
        if self._close_code is None:
            await self._queue.put(frame)

    def close(self, code: int, reason: str = "") -> None:
        """After what is queued. The first call counts."""
        if self._close_code is not None:
            return
        self._close_code, self._close_reason = code, reason.encode()
        with suppress(asyncio.QueueFull):  # then the writer sees the code after its next frame
            self._queue.put_nowait(None)

    async def write_all(self, transport: asyncio.Transport | None) -> None:
        """Until the client is gone, or told to go."""
        try:
            await self._write_queue()
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                code = self._close_code or WSCloseCode.OK
                await self._socket.close(code=code, message=self._close_reason)
        except (ConnectionError, TimeoutError):
            if transport is not None:
                transport.abort()
        else:
            _abort_later(transport)

    async def _write_queue(self) -> None:
        while self._close_code is None or not self._queue.empty():
            frame = await self._queue.get()
            if frame is None:
                return
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await self._socket.send_frame(frame, WSMsgType.TEXT)
            self._queue.task_done()
            self._frames_sent.inc()


class Conversation(Protocol):
    """One client's side of a dialect; made for each socket."""

    async def opened(self, request: web.Request) -> None: ...

    async def received(self, frame: Mapping[str, Any]) -> None:
        """A GatewayError is told to the client by `refusal`."""

    def refusal(self, error: GatewayError) -> bytes:
        """The frame that says so."""

    def closed(self) -> None: ...


class SocketServer:
    """One per dialect: all its mounts share the limit of sockets that an address may hold."""

    def __init__(
        self,
        converse: Callable[[SocketClient], Conversation],
        *,
        per_address: int = SOCKETS_PER_ADDRESS,
        ping_every_s: float = PING_EVERY_S,
    ) -> None:
        self._converse = converse
        self._per_address = per_address
        self._ping_every_s = ping_every_s
        self._held: Counter[str] = Counter()
        self._clients: set[SocketClient] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Raises RateLimited and InvalidRequest before the upgrade."""
        visit = request[VISIT]
        visit.operation = "socket"
        socket = web.WebSocketResponse(
            heartbeat=self._ping_every_s,
            max_msg_size=MAX_FRAME_BYTES,
            compress=False,
            timeout=CLOSE_TIMEOUT_S,
            decode_text=False,
        )
        if not socket.can_prepare(request).ok:
            raise InvalidRequest("this path speaks WebSocket only")
        with self._place(visit.address):
            await socket.prepare(request)
            client = SocketClient(socket, request[METRICS], visit.dialect)
            _refuse_bare_frames(request, client)
            with self._counted(client, request[METRICS], visit.dialect):
                await self._talk(request, socket, client)
        return socket

    def close_all(self) -> None:
        """This gateway is going; others may be there."""
        for client in tuple(self._clients):
            client.close(WSCloseCode.GOING_AWAY, "the gateway stops")

    async def _talk(
        self, request: web.Request, socket: web.WebSocketResponse, client: SocketClient
    ) -> None:
        conversation = self._converse(client)
        writer = asyncio.create_task(client.write_all(request.transport))
        try:
            await _told(conversation, client, conversation.opened(request))
            await _listen(socket, client, conversation)
            client.close(WSCloseCode.OK)
            await writer
        finally:
            conversation.closed()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    @contextmanager
    def _place(self, address: str) -> Iterator[None]:
        if self._held[address] >= self._per_address:
            raise RateLimited(
                f"{self._per_address} sockets are open from this address",
                retry_after_s=RETRY_AFTER_S,
            )
        self._held[address] += 1
        try:
            yield
        finally:
            self._held[address] -= 1
            if not self._held[address]:
                del self._held[address]

    @contextmanager
    def _counted(self, client: SocketClient, metrics: Metrics, dialect: str) -> Iterator[None]:
        gauge = metrics.sockets.labels(dialect)
        self._clients.add(client)
        gauge.inc()
        try:
            yield
        finally:
            self._clients.discard(client)
            gauge.dec()


def _refuse_bare_frames(request: web.Request, client: SocketClient) -> None:
    if isinstance(request.protocol, WatchesMasks):
        request.protocol.watch_masks(
            lambda: client.close(WSCloseCode.PROTOCOL_ERROR, "frames of clients are masked")
        )


async def _listen(
    socket: web.WebSocketResponse, client: SocketClient, conversation: Conversation
) -> None:
    n_malformed = 0
    async for message in socket:
        try:
            frame = _frame_of(message.type, message.data)
        except InvalidRequest as error:
            n_malformed += 1
            client.send(conversation.refusal(error))
            if n_malformed >= MAX_MALFORMED:
                client.close(WSCloseCode.UNSUPPORTED_DATA, "malformed frames")
                return
            continue
        await _told(conversation, client, conversation.received(frame))


async def _told(conversation: Conversation, client: SocketClient, step: Awaitable[None]) -> None:
    try:
        await step
    except GatewayError as error:
        client.send(conversation.refusal(error))


def _frame_of(kind: WSMsgType, data: bytes) -> Mapping[str, Any]:
    """Raises InvalidRequest for what is no JSON object."""
    if kind is not WSMsgType.TEXT:
        raise InvalidRequest("frames are text")
    try:
        check_depth(data.decode("utf-8"), most_brackets=2 * MAX_FRAME_NODES)
        frame = from_json(data, allow_inf_nan=False)
    except InvalidDocument as error:
        raise InvalidRequest(error.message) from None
    except ValueError:
        raise InvalidRequest("the frame is not JSON") from None
    if not isinstance(frame, dict):
        raise InvalidRequest("the frame is not a JSON object")
    if len(frame) > MAX_FRAME_FIELDS:
        raise InvalidRequest(f"the frame has more than {MAX_FRAME_FIELDS} fields")
    return frame


def _abort_later(transport: asyncio.Transport | None) -> None:
    """Who does not read does not take the rest of the bytes either."""
    if transport is not None:
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, transport.abort)
