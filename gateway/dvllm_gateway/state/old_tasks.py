"""Deletes tasks that ended long ago, and their texts."""

from sqlalchemy import ColumnElement, Connection, delete, select

from dvllm_gateway.ids import first_task_id_at
from dvllm_gateway.services.tasks import TaskState
from dvllm_gateway.state.database import Database
from dvllm_gateway.state.tables import event, task, task_text

_OVER = sorted(state for state in TaskState if state.is_over)


class SqlOldTasks:
    """The OldTasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget_texts(self, before_ms: int, *, limit: int) -> int:
        return await self._database.write(
            lambda tx: _forget_texts(tx, before_ms, limit), is_hurried=False
        )

    async def forget(self, before_ms: int, *, limit: int) -> int:
        return await self._database.write(
            lambda tx: _forget(tx, before_ms, limit), is_hurried=False
        )


def _forget_texts(tx: Connection, before_ms: int, limit: int) -> int:
    """Looked for among the texts, since those of most old tasks are gone already."""
    its_id = task_text.c.task_id
    old = select(its_id).join(task).where(_is_old(its_id, before_ms)).order_by(its_id).limit(limit)
    return tx.execute(delete(task_text).where(its_id.in_(old))).rowcount


def _forget(tx: Connection, before_ms: int, limit: int) -> int:
    old = select(task.c.id).where(_is_old(task.c.id, before_ms)).order_by(task.c.id).limit(limit)
    ids = tx.execute(old).scalars().all()
    for parts in (task_text, event):  # an event of a task is read as the task
        tx.execute(delete(parts).where(parts.c.task_id.in_(ids)))
    return tx.execute(delete(task).where(task.c.id.in_(ids))).rowcount


def _is_old(its_id: ColumnElement[str], before_ms: int) -> ColumnElement[bool]:
    """Ids tell when tasks were made, and have an index."""
    made_before = its_id < first_task_id_at(before_ms)
    return made_before & task.c.state.in_(_OVER) & (task.c.completed_at_ms < before_ms)
