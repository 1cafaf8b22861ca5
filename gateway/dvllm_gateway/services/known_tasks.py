"""Tasks as they are now, wherever they run: in memory if they run here, or ended lately."""

from dvllm_gateway.errors import NotFound
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.live_tasks import LiveTasks
from dvllm_gateway.services.stores import TaskStore
from dvllm_gateway.services.tasks import TaskRecord


class KnownTasks:
    def __init__(self, store: TaskStore, live: LiveTasks) -> None:
        self._store = store
        self._live = live

    async def of(self, account: AccountId, task_id: TaskId) -> TaskRecord:
        """Raises NotFound, also for somebody else's."""
        return owned(account, await self.find(task_id))

    async def find(self, task_id: TaskId) -> TaskRecord:
        """Raises NotFound."""
        task = self._live.find(task_id)
        if task is not None:
            return task.record.value
        ended = self._live.ended(task_id)
        if ended is not None:
            return ended
        record = await self._store.get(task_id)
        if record is None:
            raise NotFound("there is no such task")
        if record.state.is_over:
            self._live.note_ended(record)
        return record


def owned(account: AccountId, record: TaskRecord) -> TaskRecord:
    if record.account != account:
        raise NotFound("there is no such task")
    return record
