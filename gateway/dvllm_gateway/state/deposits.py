"""Deposits credited so far, and the end of the chain that told of them."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, and_, delete, exists, select

from decentralized_vllm.protocol.ids import Address, BlockNumber, TxHash
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.stores import Deposit, Movement
from dvllm_gateway.state.database import Database
from dvllm_gateway.state.money import Change, ensure_account, move
from dvllm_gateway.state.tables import deposit as deposits
from dvllm_gateway.state.upsert import insert_if_absent


class SqlDepositStore:
    """Of one chain and the address paid there: other gateways of this database have their own.

    What is credited and how far the chain was read change in one transaction.
    """

    def __init__(self, database: Database, chain: str, payee: Address) -> None:
        self._database = database
        self._chain = chain
        self._payee = payee

    async def apply(
        self,
        found: Sequence[Deposit],
        *,
        rewound_to: BlockNumber | None,
        at_ms: int,
        along: Callable[[Connection], None],
    ) -> None:
        """Credits what was not credited before, and takes back what stood above `rewound_to`.

        What was taken back may be spent already: the account is then below zero, and takes no new
        task before that is paid. `along` moves the cursor.
        """

        def work(tx: Connection) -> None:
            if rewound_to is not None:
                self._reverse(tx, rewound_to, at_ms)
            for deposit in sorted(found, key=lambda deposit: deposit.account):
                self._credit(tx, deposit, at_ms)
            along(tx)

        await self._database.write(work)

    async def is_credited(self, tx_hash: TxHash) -> bool:
        is_there = exists().where(deposits.c.chain == self._chain, deposits.c.tx_hash == tx_hash)
        return await self._database.read(lambda tx: bool(tx.execute(select(is_there)).scalar()))

    def _credit(self, tx: Connection, deposit: Deposit, at_ms: int) -> None:
        at = deposit.position
        ensure_account(tx, deposit.account, at_ms)
        is_new = insert_if_absent(
            tx,
            deposits,
            chain=self._chain,
            block_hash=at.block_hash,
            tx_hash=at.tx_hash,
            log_index=at.log_index,
            block_number=at.block_number,
            payee=self._payee,
            account=deposit.account,
            amount_wei=deposit.amount_wei,
        )
        if is_new:
            change = Change(Movement.DEPOSIT, deposit.amount_wei, 0, at_ms, reason=at.tx_hash)
            move(tx, deposit.account, [change])

    def _reverse(self, tx: Connection, rewound_to: BlockNumber, at_ms: int) -> None:
        is_gone = and_(
            deposits.c.chain == self._chain,
            deposits.c.payee.in_(("", self._payee)),
            deposits.c.block_number > rewound_to,
        )
        for row in tx.execute(select(deposits).where(is_gone).order_by(deposits.c.account)).all():
            change = Change(Movement.REVERSAL, -row.amount_wei, 0, at_ms, reason=row.tx_hash)
            move(tx, AccountId(row.account), [change], may_overdraw=True)
        tx.execute(delete(deposits).where(is_gone))
