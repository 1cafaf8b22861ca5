"""A node's HTTP listener as a requester uses it: blocks of the prompt in, progress out.

Everything here is a courtesy between two parties: a node that can not be reached still serves the
job if the prompt reaches it some other way.
"""

import secrets
import time
from collections.abc import AsyncGenerator

from eth_account.signers.local import LocalAccount
from pydantic import BaseModel, ValidationError
from yarl import URL

from decentralized_vllm.content.http_client import ContentHttp, read_limited
from decentralized_vllm.protocol.errors import ContentUnavailable
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.protocol.request_auth import HttpRequest, body_digest, signed_headers
from decentralized_vllm.protocol.signatures import PreparedAccount
from decentralized_vllm.requester.node_status import MAX_STATUS_BYTES
from decentralized_vllm.requester.server_events import ServerEvent, server_events

MAX_ACCEPTANCE_BYTES = 1024
CAR_TYPE = "application/vnd.ipld.car"
STREAM_TOTAL_S = 3600.0
STATUS_TOTAL_S = 5.0  # a submission waits for it
STREAM_SILENCE_S = 45.0  # three of a node's heartbeats: it is gone, though nobody said so


class NodeDoor:
    """Asks as the job's requester. Raises ContentUnavailable."""

    def __init__(self, http: ContentHttp, account: LocalAccount) -> None:
        self._http = http
        self._account = PreparedAccount(account)

    async def offer_blocks(self, endpoint: str, job_id: JobId, car: bytes) -> int | None:
        """Hands a CAR of the prompt's blocks to the node that holds the job.

        Unsigned: the node takes what hashes to the job's prompt CID, from whomever. How many
        blocks it had use for, 0 if it has the prompt already; None if it does not say.
        """
        url = _job_url(endpoint, job_id, "blocks")
        headers = {"Content-Type": CAR_TYPE}
        async with self._http.request("POST", str(url), data=car, headers=headers) as response:
            if response.status >= 300:
                raise ContentUnavailable(f"{url.origin()} answered {response.status} to blocks")
            return _n_accepted(await read_limited(response, MAX_ACCEPTANCE_BYTES))

    async def status(self, endpoint: str) -> bytes:
        """What the node says it can do now. Raises ContentTooLarge as well."""
        url = _base_url(endpoint) / "status"
        async with self._http.request(
            "GET", str(url), total_s=STATUS_TOTAL_S, silence_s=STATUS_TOTAL_S
        ) as response:
            if response.status != 200:
                raise ContentUnavailable(f"{url.origin()} answered {response.status} to status")
            return await read_limited(response, MAX_STATUS_BYTES)

    def events(self, endpoint: str, job_id: JobId) -> AsyncGenerator[ServerEvent, None]:
        """What the node tells of a job it runs, until it says no more."""
        return self._events(_job_url(endpoint, job_id, "events"))

    def all_events(self, endpoint: str) -> AsyncGenerator[ServerEvent, None]:
        """What the node tells of all our jobs: of those that run from their start.

        Each event names its job in the field `job_id`.
        """
        return self._events(_base_url(endpoint) / "jobs" / "events")

    async def _events(self, url: URL) -> AsyncGenerator[ServerEvent, None]:
        headers = {"Accept": "text/event-stream", **self._signed_get(url)}
        async with self._http.request(
            "GET", str(url), headers=headers, total_s=STREAM_TOTAL_S, silence_s=STREAM_SILENCE_S
        ) as response:
            if response.status != 200:
                raise ContentUnavailable(f"{url.origin()} answered {response.status} to events")
            async for event in server_events(response.content.iter_any()):
                yield event

    def _signed_get(self, url: URL) -> dict[str, str]:
        host = url.host_port_subcomponent or ""  # as the Host header: without a default port
        request = HttpRequest(host, "GET", url.raw_path_qs, body_digest(b""))
        return signed_headers(
            request,
            self._account,
            timestamp_s=int(time.time()),
            nonce=secrets.token_urlsafe(16),
        )


class _Acceptance(BaseModel):
    accepted: int


def _n_accepted(answer: bytes) -> int | None:
    try:
        return _Acceptance.model_validate_json(answer).accepted
    except ValidationError:
        return None


def _job_url(endpoint: str, job_id: JobId, action: str) -> URL:
    return _base_url(endpoint) / "jobs" / str(job_id) / action


def _base_url(endpoint: str) -> URL:
    """Raises ContentUnavailable: an endpoint is what its operator wrote into the profile."""
    try:
        url = URL(endpoint)
    except ValueError as error:
        raise ContentUnavailable(f"the node's endpoint {endpoint!r} is no URL") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ContentUnavailable(f"the node's endpoint {endpoint!r} is no http(s) URL")
    return url
