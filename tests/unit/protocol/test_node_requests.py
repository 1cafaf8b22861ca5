"""A node serves a job's blocks and events to its requester only, and not for ever."""

import pytest
from eth_account import Account

from decentralized_vllm.protocol.errors import InvalidAuthorization
from decentralized_vllm.protocol.node_requests import (
    SIGNATURE_HEADER,
    VALID_UNTIL_HEADER,
    VALIDITY_S,
    NodeAction,
    NodeRequest,
    authorization_headers,
    check_authorization,
)
from decentralized_vllm.protocol.receipts import Deployment

REQUESTER = Account.from_key("0x" + "11" * 32)
OTHER = Account.from_key("0x" + "22" * 32)
HERE = Deployment(31337, OTHER.address)
NOW_S = 1_700_000_000
REQUEST = NodeRequest(7, NodeAction.BLOCKS, NOW_S + VALIDITY_S)


def headers(request=REQUEST, deployment=HERE, account=REQUESTER):
    return authorization_headers(request, deployment, account)


def check(given, now_s=NOW_S, job_id=7, action=NodeAction.BLOCKS):
    check_authorization(
        given,
        job_id=job_id,
        action=action,
        deployment=HERE,
        requester=REQUESTER.address,
        now_s=now_s,
    )


@pytest.mark.parametrize("now_s", [NOW_S - VALIDITY_S, NOW_S, NOW_S + VALIDITY_S])
def test_check_authorization__signed_by_the_requester_in_time__passes(now_s):
    check(headers(), now_s)


@pytest.mark.parametrize("now_s", [NOW_S - VALIDITY_S - 1, NOW_S + VALIDITY_S + 1])
def test_check_authorization__outside_its_time__is_refused(now_s):
    with pytest.raises(InvalidAuthorization, match=VALID_UNTIL_HEADER):
        check(headers(), now_s)


@pytest.mark.parametrize(
    "given",
    [
        headers(account=OTHER),
        headers(NodeRequest(8, NodeAction.BLOCKS, REQUEST.valid_until_s)),
        headers(NodeRequest(7, NodeAction.EVENTS, REQUEST.valid_until_s)),
        headers(deployment=Deployment(1, HERE.coordinator)),
        {**headers(), VALID_UNTIL_HEADER: str(NOW_S + 1)},
        {**headers(), SIGNATURE_HEADER: "0x"},
        {**headers(), SIGNATURE_HEADER: "zz"},
        {**headers(), SIGNATURE_HEADER: "0x" + "ff" * 65},
        {**headers(), VALID_UNTIL_HEADER: "1e9"},
        {**headers(), VALID_UNTIL_HEADER: "-5"},
        {},
    ],
)
def test_check_authorization__anything_else__is_refused(given):
    with pytest.raises(InvalidAuthorization):
        check(given)


def test_node_request__path__names_job_and_action():
    assert REQUEST.path == "/jobs/7/blocks"
