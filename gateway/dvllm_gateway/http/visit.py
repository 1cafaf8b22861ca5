"""What is noted of one request while it is answered, for its headers, its log line, its figures."""

import re
import secrets
from dataclasses import dataclass, field

from aiohttp import web

from dvllm_gateway.services.ports import LimitState

REQUEST_ID = "X-Request-Id"
SERVER_NAME = "dvllm-gateway"
UNKNOWN_OPERATION = "unknown"

_NEW_ID_BYTES = 12
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


@dataclass(slots=True)
class Visit:
    """`is_open` from the first byte of the reply on: then no other reply can be sent.

    `headers` are for whatever reply is sent, an error's too.
    """

    request_id: str
    dialect: str
    address: str
    operation: str = UNKNOWN_OPERATION
    limit: LimitState | None = None
    is_open: bool = False
    headers: dict[str, str] = field(default_factory=dict)


VISIT: web.RequestKey[Visit] = web.RequestKey("visit", Visit)


def request_id_of(request: web.Request) -> str:
    """The caller's own, if it is one that a log can bear; else a new one."""
    given = request.headers.get(REQUEST_ID, "")
    return given if _ACCEPTED_ID.fullmatch(given) else secrets.token_hex(_NEW_ID_BYTES)
