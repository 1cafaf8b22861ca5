"""Handlers of logins, keys and credit, which the document does not have."""

from dvllm_gateway.dialects.dvllm import account_schemas, rendering
from dvllm_gateway.dialects.dvllm.callers import caller_of
from dvllm_gateway.dialects.dvllm.payments import TopUpBody
from dvllm_gateway.dialects.dvllm.wire import iso_time
from dvllm_gateway.errors import NotFound
from dvllm_gateway.http.operation import Call, Reply
from dvllm_gateway.ids import KeyId, read_address
from dvllm_gateway.services.principals import Scope
from dvllm_gateway.services.top_ups import TopUps


async def post_challenge(call: Call[account_schemas.ChallengeBody, None]) -> Reply:
    challenge = await call.core.auth.challenge(read_address(call.body.address))
    return Reply(
        account_schemas.ChallengeReply(
            message=challenge.message,
            nonce=challenge.nonce,
            expires_at=iso_time(challenge.expires_at_ms),
        )
    )


async def post_verify(call: Call[account_schemas.VerifyBody, None]) -> Reply:
    scopes = frozenset(Scope(name) for name in call.body.scopes or ())
    made = await call.core.auth.verify(call.body.message, call.body.signature, scopes)
    return Reply(
        account_schemas.VerifyReply(
            api_key=made.secret, key_id=made.key.id, scopes=sorted(made.key.scopes)
        ),
        headers={"Cache-Control": "no-store"},
    )


async def get_keys(call: Call[None, None]) -> Reply:
    keys = await call.core.keys.list(caller_of(call).account)
    return Reply(account_schemas.KeysReply(keys=[rendering.key_item(key) for key in keys]))


async def delete_key(call: Call[None, None]) -> Reply:
    await call.core.keys.revoke(caller_of(call).account, KeyId(call.path["keyId"]))
    return Reply(None, status=204)


class CreditHandlers:
    """`top_ups` None takes none."""

    def __init__(self, top_ups: TopUps | None) -> None:
        self._top_ups = top_ups

    async def get(self, call: Call[None, None]) -> Reply:
        balance = await call.core.credit.balance(caller_of(call).account)
        payee = None if self._top_ups is None else await self._top_ups.payee()
        return Reply(rendering.credit_reply(balance, payee))

    async def top_up(self, call: Call[TopUpBody, None]) -> Reply:
        """Whoever brings it: what a wallet signed is its own account's."""
        if self._top_ups is None:
            raise NotFound("this gateway takes no top-ups")
        made = await self._top_ups.relay(call.body.payment())
        return Reply(rendering.top_up_reply(made), status=201 if made.is_credited else 202)
