"""Tasks that are made together: all of them or none."""

import pytest

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.errors import InsufficientBalance
from dvllm_gateway.services.ports import Balance
from dvllm_gateway.state import Database, SqlAccountStore, SqlTaskStore
from tests.support.gateway_tasks import ALICE, ASSIGNMENT, new_task


async def test_create_all__credit_for_some__none_is_kept(
    database: Database,
) -> None:
    accounts, tasks = SqlAccountStore(database), SqlTaskStore(database)
    await accounts.grant(ALICE, Wei(10_000), reason="test", at_ms=1)
    new = [(new_task(), ASSIGNMENT) for _ in range(11)]
    with pytest.raises(InsufficientBalance) as refused:
        await tasks.create_all(new)
    assert refused.value.required_wei == 11_000
    assert await accounts.balance(ALICE) == Balance(Wei(10_000), Wei(0))
    await tasks.create_all(new[:10])
    assert await accounts.balance(ALICE) == Balance(Wei(0), Wei(10_000))
    for record, _ in new[:10]:
        assert await tasks.get(record.id) == record
    assert await tasks.get(new[10][0].id) is None
    assert (await accounts.history(ALICE, limit=20, offset=0)).total == 11
