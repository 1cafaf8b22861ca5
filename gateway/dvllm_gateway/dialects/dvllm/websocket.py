"""The WebSocket of this dialect: who is on it, what they hear, and what they may say."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing
from typing import Any, cast

from aiohttp import WSCloseCode, web

from decentralized_vllm.protocol.request_auth import HttpRequest, body_digest
from dvllm_gateway.dialects.dvllm.audience import Audience
from dvllm_gateway.dialects.dvllm.errors import DvllmErrors
from dvllm_gateway.dialects.dvllm.events import FRAME_TYPES, Frames, frame, frames_of
from dvllm_gateway.dialects.dvllm.frames import KeyAuth, Ping, Subscribe, WalletAuth, read_frame
from dvllm_gateway.errors import (
    Forbidden,
    GatewayError,
    InvalidRequest,
    SubscriberTooSlow,
    Unauthenticated,
)
from dvllm_gateway.http.visit import VISIT
from dvllm_gateway.http.websocket import CLOSE_UNAUTHENTICATED, SocketClient, SocketServer
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.events import Event
from dvllm_gateway.services.identity import Credentials
from dvllm_gateway.services.ports import Core, Rate
from dvllm_gateway.services.principals import Principal, Scope

log = logging.getLogger(__name__)

RECHECK_EVERY_S = 4.0
MAX_FAILED_LOGINS = 5

_TYPES = frozenset(FRAME_TYPES.values())


class DvllmSockets:
    """All sockets of the dialect, whichever mount they came by. `run` and `recheck` must run."""

    def __init__(self, core: Core, rate: Rate, *, per_address: int = 10) -> None:
        self._core = core
        self._rate = rate
        self._audience = Audience()
        self.server = SocketServer(self._conversation, per_address=per_address)

    async def run(self) -> None:
        """Tells what happens, until cancelled."""
        await self._audience.run(self._core.events)

    async def recheck(self) -> None:
        """Ends the sockets whose key was revoked, until cancelled."""
        while True:
            await asyncio.sleep(RECHECK_EVERY_S)
            for key in {member.key for member in self._audience.members} - {None}:
                await self._recheck(cast(str, key))

    async def _recheck(self, key: str) -> None:
        try:
            await self._core.auth.identify_key(key)
        except Unauthenticated:
            for member in self._audience.members:
                if member.key == key:
                    member.expel()
        except GatewayError:
            return  # it can not be told now; requests are refused meanwhile

    def _conversation(self, client: SocketClient) -> "DvllmConversation":
        return DvllmConversation(self._core, self._rate, self._audience, client)


class DvllmConversation:
    """One client. Without a login it hears what everybody may hear."""

    def __init__(self, core: Core, rate: Rate, audience: Audience, client: SocketClient) -> None:
        self._core = core
        self._rate = rate
        self._audience = audience
        self._client = client
        self._request: web.Request | None = None
        self._wanted = _TYPES
        self._replay: asyncio.Task[None] | None = None
        self._n_failed = 0
        self.account: AccountId | None = None
        self.key: str | None = None

    async def opened(self, request: web.Request) -> None:
        self._request = request
        self._audience.join(self)
        key = _key_of(request)
        if key is not None:
            await self._login_by_key(key)
        elif "Authorization" in request.headers:
            await self._admit(self._core.auth.identify(_credentials(request, request.headers)))

    async def received(self, frame: Mapping[str, Any]) -> None:
        await self._count()
        match read_frame(frame):
            case KeyAuth(token=token):
                await self._login_by_key(token)
            case WalletAuth() as login:
                await self._login_by_wallet(login)
            case Subscribe() as wish:
                self._subscribe(wish)
            case Ping():
                self._say("pong", {})

    def refusal(self, error: GatewayError) -> bytes:
        kind = "auth_error" if isinstance(error, Unauthenticated | Forbidden) else "error"
        spelled = DvllmErrors().spell(error, "", _now_ms()).body
        return frame(kind, spelled.model_dump(mode="json")["error"], _now_ms())

    def closed(self) -> None:
        self._audience.leave(self)
        self._stop_replay()

    def hear(self, event: Event, frames: Frames) -> None:
        """Not during a replay, which tells of everything by itself."""
        if self._replay is None and (data := self._audible(event, frames)) is not None:
            self._client.send(data)

    def expel(self) -> None:
        self.account = self.key = None
        self._client.close(CLOSE_UNAUTHENTICATED, "the key is revoked")

    # ------------------------------------------------------------ logins

    @property
    def _address(self) -> str:
        assert self._request is not None
        return self._request[VISIT].address

    async def _login_by_key(self, key: str) -> None:
        if await self._admit(self._core.auth.identify_key(key, address=self._address)):
            self.key = key

    async def _login_by_wallet(self, login: WalletAuth) -> None:
        assert self._request is not None
        credentials = _credentials(self._request, _headers_of(login))
        await self._admit(self._core.auth.identify(credentials))

    async def _admit(self, identifying: Awaitable[Principal | None]) -> bool:
        """Whether it is somebody who may read; the client is told."""
        try:
            principal = await identifying
            if principal is not None:
                principal.require(Scope.READ)
        except (Unauthenticated, Forbidden) as error:
            self._n_failed += 1
            self._client.send(self.refusal(error))
            if self._n_failed >= MAX_FAILED_LOGINS:
                self._client.close(CLOSE_UNAUTHENTICATED, "too many failed logins")
            return False
        if principal is None:
            return False
        self.account, self.key = principal.account, None
        self._say("auth_ok", {"account": principal.account})
        return True

    async def _count(self) -> None:
        """Frames count as calls do. Raises RateLimited."""
        assert self._request is not None
        visit = self._request[VISIT]
        caller = self.account or f"ip:{visit.address}"
        await self._core.limits.count(visit.dialect, "status", self._rate, caller, spends=False)

    # ------------------------------------------------------------ events

    def _subscribe(self, wish: Subscribe) -> None:
        if wish.events is not None:
            unknown = sorted(set(wish.events) - _TYPES)
            if unknown:
                raise InvalidRequest(f"there are the events {', '.join(sorted(_TYPES))}")
            self._wanted = frozenset(wish.events)
        self._say("subscribed", {"events": sorted(self._wanted)})
        if wish.after is not None:
            self._stop_replay()
            self._replay = asyncio.create_task(self._tell_after(wish.after))

    async def _tell_after(self, cursor: int) -> None:
        """From then on with a subscription of its own, so that nothing falls in between."""
        events = cast(AsyncGenerator[Event, None], self._core.events.subscribe(after=cursor))
        try:
            async with aclosing(events):
                async for event in events:
                    is_wanted = FRAME_TYPES.get(event.name) in self._wanted
                    frames = frames_of(event) if is_wanted else None
                    data = None if frames is None else self._audible(event, frames)
                    if data is not None:
                        await self._client.send_in_turn(data)
        except SubscriberTooSlow:
            self._client.close(WSCloseCode.TRY_AGAIN_LATER, "reads too slowly")
        except GatewayError as error:  # going on, it would never hear what lies in between
            self._client.send(self.refusal(error))
            self._client.close(WSCloseCode.INTERNAL_ERROR, "the replay failed")
        except Exception:  # else it would stay open and hear nothing
            log.exception("a replay of events failed")
            self._client.close(WSCloseCode.INTERNAL_ERROR, "the replay failed")

    def _stop_replay(self) -> None:
        if self._replay is not None:
            self._replay.cancel()
            self._replay = None

    def _audible(self, event: Event, frames: Frames) -> bytes | None:
        if frames.type not in self._wanted:
            return None
        is_own = self.account is not None and event.account == self.account
        return frames.full if is_own else frames.redacted

    def _say(self, kind: str, data: Mapping[str, Any]) -> None:
        self._client.send(frame(kind, data, _now_ms()))


def _key_of(request: web.Request) -> str | None:
    """The API key that came with the request to connect, which may be revoked later."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    stated = value.strip() if scheme.lower() == "bearer" else None
    return request.query.get("token", stated)


def _headers_of(login: WalletAuth) -> dict[str, str]:
    return {
        "Authorization": f"Signature {login.signature}",
        "X-Wallet-Address": login.address,
        "X-Wallet-Timestamp": str(login.timestamp),
        "X-Wallet-Nonce": login.nonce,
    }


def _credentials(request: web.Request, headers: Mapping[str, str]) -> Credentials:
    signed = HttpRequest(request.host, "GET", request.raw_path, body_digest(b""))
    return Credentials(headers, signed, request[VISIT].address)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
