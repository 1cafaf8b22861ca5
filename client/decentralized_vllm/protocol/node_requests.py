"""How a requester proves to a node's HTTP listener that a job is its own.

`POST {endpoint}/jobs/{id}/blocks` and `GET {endpoint}/jobs/{id}/events` carry two headers: an
EIP-712 signature of (job, action, last second of validity) by the key that submitted the job, and
that second. Validity is chain time, the one clock that both sides share. Whoever repeats such a
request within it sends blocks the node has, or reads what its listener sends in the clear anyway.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_account.signers.base import BaseAccount
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from decentralized_vllm.protocol.errors import InvalidAuthorization
from decentralized_vllm.protocol.ids import Address, JobId
from decentralized_vllm.protocol.receipts import Deployment, domain_of

SIGNATURE_HEADER = "Dvllm-Signature"
VALID_UNTIL_HEADER = "Dvllm-Valid-Until"
VALIDITY_S = 300

_FIELDS = [
    {"type": "uint256", "name": "jobId"},
    {"type": "string", "name": "action"},
    {"type": "uint256", "name": "validUntil"},
]


class NodeAction(StrEnum):
    BLOCKS = "blocks"  # body: a CAR v1 of the prompt's blocks
    EVENTS = "events"  # answer: server-sent events of progress and text


@dataclass(frozen=True, slots=True)
class NodeRequest:
    job_id: JobId
    action: NodeAction
    valid_until_s: int

    @property
    def path(self) -> str:
        """Below the endpoint of the node's profile."""
        return f"/jobs/{self.job_id}/{self.action}"


def authorization_headers(
    request: NodeRequest, deployment: Deployment, account: BaseAccount
) -> dict[str, str]:
    signature = bytes(account.sign_message(_signable(request, deployment)).signature)
    return {
        SIGNATURE_HEADER: "0x" + signature.hex(),
        VALID_UNTIL_HEADER: str(request.valid_until_s),
    }


def check_authorization(
    headers: Mapping[str, str],
    *,
    job_id: JobId,
    action: NodeAction,
    deployment: Deployment,
    requester: Address,
    now_s: int,
) -> None:
    """Raises InvalidAuthorization unless the job's requester signed for this, and not too long ago.

    `now_s` is chain time.
    """
    valid_until_s = _valid_until_s(headers)
    if not now_s <= valid_until_s <= now_s + 2 * VALIDITY_S:
        raise InvalidAuthorization(f"{VALID_UNTIL_HEADER} is past, or too far ahead")
    request = NodeRequest(job_id, action, valid_until_s)
    if _signer(headers, request, deployment) != requester:
        raise InvalidAuthorization(f"{SIGNATURE_HEADER} is not by the requester of job {job_id}")


def _valid_until_s(headers: Mapping[str, str]) -> int:
    text = headers.get(VALID_UNTIL_HEADER, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise InvalidAuthorization(f"{VALID_UNTIL_HEADER} is missing or not a second")
    return int(text)


def _signer(headers: Mapping[str, str], request: NodeRequest, deployment: Deployment) -> Address:
    text = headers.get(SIGNATURE_HEADER, "")
    try:
        signature = bytes.fromhex(text.removeprefix("0x"))
        signer = Account.recover_message(_signable(request, deployment), signature=signature)
    except (BadSignature, ValidationError, ValueError, TypeError) as error:
        raise InvalidAuthorization(f"{SIGNATURE_HEADER} is missing or no signature") from error
    return Address(signer)


def _signable(request: NodeRequest, deployment: Deployment) -> SignableMessage:
    message: dict[str, Any] = {
        "jobId": request.job_id,
        "action": request.action.value,
        "validUntil": request.valid_until_s,
    }
    return encode_typed_data(domain_of(deployment), {"NodeRequest": _FIELDS}, message)
