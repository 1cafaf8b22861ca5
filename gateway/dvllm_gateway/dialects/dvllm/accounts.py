"""Handlers of logins, keys and credit, which the document does not have."""

from eth_utils.address import to_checksum_address

from decentralized_vllm.protocol.ids import Address
from dvllm_gateway.dialects.dvllm import rendering, schemas
from dvllm_gateway.dialects.dvllm.callers import caller_of
from dvllm_gateway.dialects.dvllm.wire import iso_time
from dvllm_gateway.http.operation import Call, Reply
from dvllm_gateway.ids import KeyId
from dvllm_gateway.services.principals import Scope


async def post_challenge(call: Call[schemas.ChallengeBody, None]) -> Reply:
    challenge = await call.core.auth.challenge(Address(to_checksum_address(call.body.address)))
    return Reply(
        schemas.ChallengeReply(
            message=challenge.message,
            nonce=challenge.nonce,
            expires_at=iso_time(challenge.expires_at_ms),
        )
    )


async def post_verify(call: Call[schemas.VerifyBody, None]) -> Reply:
    scopes = frozenset(Scope(name) for name in call.body.scopes or ())
    made = await call.core.auth.verify(call.body.message, call.body.signature, scopes)
    return Reply(
        schemas.VerifyReply(
            api_key=made.secret, key_id=made.key.id, scopes=sorted(made.key.scopes)
        ),
        headers={"Cache-Control": "no-store"},
    )


async def get_keys(call: Call[None, None]) -> Reply:
    keys = await call.core.keys.list(caller_of(call).account)
    return Reply(schemas.KeysReply(keys=[rendering.key_item(key) for key in keys]))


async def delete_key(call: Call[None, None]) -> Reply:
    await call.core.keys.revoke(caller_of(call).account, KeyId(call.path["keyId"]))
    return Reply(None, status=204)


async def get_credit(call: Call[None, None]) -> Reply:
    balance = await call.core.credit.balance(caller_of(call).account)
    return Reply(rendering.credit_reply(balance))
