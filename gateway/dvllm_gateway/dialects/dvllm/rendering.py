"""The core's records as the document shows them."""

from datetime import datetime

from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.units import format_tokens
from dvllm_gateway.dialects.dvllm import account_schemas, schemas
from dvllm_gateway.dialects.dvllm.payments import TopUpReply
from dvllm_gateway.dialects.dvllm.wire import iso_time, iso_time_or_none, job_number
from dvllm_gateway.services.identity import ApiKey
from dvllm_gateway.services.network import Model, Peer, Status
from dvllm_gateway.services.ports import Balance, PublishedModel, UnsignedTransaction
from dvllm_gateway.services.resources import Resources, Shares
from dvllm_gateway.services.tasks import TaskFilter, TaskRecord, TaskState
from dvllm_gateway.services.top_ups import TopUp

TASK_PREFIX = "task_"

# The document has no word for a cancelled task.
_WORDS: dict[TaskState, schemas.StatusWord] = {
    TaskState.PENDING: "pending",
    TaskState.RUNNING: "running",
    TaskState.COMPLETED: "completed",
    TaskState.FAILED: "failed",
    TaskState.CANCELLED: "failed",
}
_CANCELLED = "the task was cancelled"


def status_reply(status: Status) -> schemas.StatusReply:
    return schemas.StatusReply(
        status=status.health.value,
        uptime=status.uptime_s,
        version=status.version,
        network=schemas.NetworkStatus(peers=status.n_peers, block_number=status.block_number),
        resources=schemas.UsedShares(
            cpu=status.usage.cpu, memory=status.usage.memory, gpu=status.usage.gpu
        ),
    )


def peer_item(peer: Peer) -> schemas.PeerItem:
    return schemas.PeerItem(
        id=peer.operator,
        address=peer.endpoint,
        connected=peer.is_connected,
        last_seen=iso_time_or_none(peer.last_seen_ms),
    )


def shares_body(shares: Shares) -> schemas.SharesBody:
    return schemas.SharesBody(
        cpu=shares.cpu, memory=shares.memory, gpu=shares.gpu, storage=shares.storage
    )


def resources_reply(resources: Resources) -> schemas.ResourcesReply:
    return schemas.ResourcesReply(
        allocation=shares_body(resources.allocation),
        usage=shares_body(resources.usage),
        limits=shares_body(resources.limits),
    )


def task_name(record: TaskRecord) -> str:
    return TASK_PREFIX + record.id


def submit_reply(record: TaskRecord, estimated_s: int | None) -> schemas.SubmitReply:
    return schemas.SubmitReply(
        task_id=task_name(record),
        job_id=job_number(record.job_id),
        status="submitted",
        estimated_time=estimated_s,
        prompt_cid=record.prompt_cid,
    )


def timing(record: TaskRecord) -> schemas.Timing:
    return schemas.Timing(
        submitted=iso_time(record.created_at_ms),
        started=iso_time_or_none(record.started_at_ms),
        completed=iso_time_or_none(record.completed_at_ms),
        total_time=record.total_time_s,
    )


def task_reply(record: TaskRecord) -> schemas.TaskReply:
    return schemas.TaskReply(
        task_id=task_name(record),
        job_id=job_number(record.job_id),
        status=_WORDS[record.state],
        prompt=record.prompt,
        response=record.response,
        timing=timing(record),
        worker=record.worker,
        response_cid=record.response_cid,
        error=failure_text(record),
    )


def failure_text(record: TaskRecord) -> str | None:
    if record.failure is not None:
        return record.failure.message
    return _CANCELLED if record.state is TaskState.CANCELLED else None


def task_item(record: TaskRecord) -> schemas.TaskItem:
    return schemas.TaskItem(
        task_id=task_name(record),
        job_id=job_number(record.job_id),
        status=_WORDS[record.state],
        model_id=record.model_id,
        timing=timing(record),
        worker=record.worker,
    )


def task_filter(query: schemas.TasksQuery) -> TaskFilter:
    states = frozenset(state for state, word in _WORDS.items() if word in query.status)
    return TaskFilter(query.limit, states, _unix_ms(query.since))


def model_item(model: Model) -> schemas.ModelItem:
    return schemas.ModelItem(
        id=model.id,
        name=model.name,
        description=model.description,
        cid=model.cid,
        active=model.is_active,
        timestamp=iso_time(model.registered_at_s * 1000),
    )


def upload_reply(published: PublishedModel) -> schemas.UploadReply:
    waiting = published.transaction
    return schemas.UploadReply(
        model_id=published.model_id,
        cid=published.cid,
        status="registered" if waiting is None else "awaiting_signature",
        transaction_hash=published.tx_hash,
        transaction=None if waiting is None else _unsigned_call(waiting),
    )


def _unsigned_call(call: UnsignedTransaction) -> schemas.UnsignedCall:
    return schemas.UnsignedCall(to=call.to, data=call.data, chain_id=call.chain_id)


def key_item(key: ApiKey) -> account_schemas.KeyItem:
    return account_schemas.KeyItem(
        key_id=key.id,
        scopes=sorted(key.scopes),
        created_at=iso_time(key.created_at_ms),
        last_used_at=iso_time_or_none(key.last_used_at_ms),
    )


def credit_reply(balance: Balance, payee: Address | None) -> account_schemas.CreditReply:
    return account_schemas.CreditReply(
        available=format_tokens(balance.available_wei),
        reserved=format_tokens(balance.reserved_wei),
        available_wei=str(balance.available_wei),
        reserved_wei=str(balance.reserved_wei),
        payee=payee,
    )


def top_up_reply(top_up: TopUp) -> TopUpReply:
    return TopUpReply(
        transaction_hash=top_up.tx_hash,
        account=top_up.account,
        amount=format_tokens(top_up.amount_wei),
        amount_wei=str(top_up.amount_wei),
        status="credited" if top_up.is_credited else "pending",
    )


def _unix_ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)
