"""A core without a network: what dialects are tried against, and what tests set on it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from decentralized_vllm.protocol.generation import Feature, FinishReason, Usage
from decentralized_vllm.protocol.ids import Address, BlockNumber, Cid, JobId, ModelId, TxHash, Wei
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.request_auth import form_digest
from dvllm_gateway.errors import (
    Conflict,
    Forbidden,
    GatewayError,
    ModelNotFound,
    NoCapacity,
    NotFound,
    Unauthenticated,
)
from dvllm_gateway.ids import AccountId, KeyId, TaskId, new_task_id
from dvllm_gateway.services.events import Event, EventName, Payload
from dvllm_gateway.services.identity import ApiKey, Challenge, Credentials, NewApiKey
from dvllm_gateway.services.network import Health, Model, Peer, ServingNode, Status
from dvllm_gateway.services.ports import (
    Attempt,
    Balance,
    Core,
    LimitState,
    ModelUpload,
    PublishedModel,
    Rate,
    StoredReply,
    UnsignedTransaction,
)
from dvllm_gateway.services.principals import Method, Principal, Scope
from dvllm_gateway.services.resources import Allocation, Resources, Shares
from dvllm_gateway.services.tasks import (
    Failure,
    StreamEnd,
    TaskFilter,
    TaskPage,
    TaskRecord,
    TaskRequest,
    TaskState,
    TextChunk,
)
from dvllm_gateway.services.top_ups import SignedPayment, TopUp

NOON_MS = 1_704_110_400_000  # 2024-01-01T12:00:00Z
WORKER = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
OWNER = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
PROMPT_CID = Cid("bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")
RESPONSE_CID = Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
ASKER = AccountId("0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc")
OTHER = AccountId("0x90f79bf6eb2c4f870365e785982e1f101e93b906")
TERMS = Terms(10**5, 10**6, 10**7, 10**9, 30, 60, 512, 128)
MODEL = Model(
    ModelId("gpt-3.5-turbo"), "GPT-3.5 Turbo", "Fast", RESPONSE_CID, True, NOON_MS // 1000, TERMS
)
LIMIT = LimitState(100, 99, 3600)


def task(account: AccountId = ASKER, **changes: object) -> TaskRecord:
    """A task that waits for its job's transaction."""
    record = TaskRecord(
        id=new_task_id(),
        account=account,
        model_id=MODEL.id,
        prompt="What is AI?",
        prompt_cid=PROMPT_CID,
        max_tokens=100,
        state=TaskState.PENDING,
        created_at_ms=NOON_MS,
        reserved_wei=Wei(10**17),
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def submitted(record: TaskRecord, job_id: int = 456) -> TaskRecord:
    return replace(record, job_id=JobId(job_id), submitted_at_ms=NOON_MS + 1000)


def completed(record: TaskRecord) -> TaskRecord:
    return replace(
        submitted(record),
        state=TaskState.COMPLETED,
        started_at_ms=NOON_MS + 5000,
        completed_at_ms=NOON_MS + 35_200,
        worker=WORKER,
        response="AI is …",
        response_cid=RESPONSE_CID,
        finish_reason=FinishReason.STOP,
        usage=Usage(5, 7),
    )


@dataclass
class MemoryTasks:
    """`is_mined` False leaves submissions without a job; `fails` is raised by submit."""

    records: dict[TaskId, TaskRecord] = field(default_factory=dict)
    requests: list[TaskRequest] = field(default_factory=list)
    is_mined: bool = True
    fails: GatewayError | None = None
    refused_by_chain: Failure | None = None

    def put(self, record: TaskRecord) -> TaskRecord:
        self.records[record.id] = record
        return record

    async def submit(
        self, account: AccountId, request: TaskRequest, *, task_id: TaskId | None = None
    ) -> TaskRecord:
        if self.fails is not None:
            raise self.fails
        self.requests.append(request)
        named = {} if task_id is None else {"id": task_id}
        asked = {"prompt": request.shown_prompt, "model_id": request.model_id}
        return self.put(task(account, **asked, **named))

    async def preview(self, account: AccountId, request: TaskRequest) -> TaskRecord:
        return task(account, prompt=request.shown_prompt, model_id=request.model_id)

    async def get(self, account: AccountId, task_id: TaskId) -> TaskRecord:
        record = self.records.get(task_id)
        if record is None or record.account != account:
            raise NotFound("there is no such task")
        return record

    async def list(self, account: AccountId, chosen: TaskFilter) -> TaskPage:
        found = [
            record
            for record in reversed(self.records.values())
            if record.account == account
            and (not chosen.states or record.state in chosen.states)
            and (chosen.since_ms is None or record.created_at_ms >= chosen.since_ms)
        ]
        return TaskPage(tuple(found[: chosen.limit]), len(found))

    async def wait_submitted(
        self, account: AccountId, task_id: TaskId, timeout_s: float
    ) -> TaskRecord:
        record = await self.get(account, task_id)
        if self.refused_by_chain is not None:
            return replace(record, state=TaskState.FAILED, failure=self.refused_by_chain)
        return self.put(submitted(record)) if self.is_mined else record

    async def wait_over(self, account: AccountId, task_id: TaskId, timeout_s: float) -> TaskRecord:
        return await self.get(account, task_id)

    async def stream(
        self, account: AccountId, task_id: TaskId
    ) -> AsyncIterator[TextChunk | StreamEnd]:
        record = await self.get(account, task_id)
        yield TextChunk(record.response or "", 1)

    async def cancel(self, account: AccountId, task_id: TaskId) -> TaskRecord:
        record = await self.get(account, task_id)
        if record.state.is_over:
            raise Conflict("the task is over")
        return self.put(replace(record, state=TaskState.CANCELLED))


@dataclass
class MemoryModels:
    """`registers` False answers uploads with a transaction to sign; `seen` is what was uploaded."""

    models: tuple[Model, ...] = (MODEL,)
    registers: bool = True
    cid: Cid = RESPONSE_CID
    seen: dict[str, bytes] = field(default_factory=dict)
    folder: Path | None = None
    uploads: list[ModelUpload] = field(default_factory=list)

    async def list(self, *, active_only: bool) -> tuple[Model, ...]:
        return tuple(model for model in self.models if model.is_active or not active_only)

    async def get(self, model_id: ModelId) -> Model:
        for model in self.models:
            if model.id == model_id:
                return model
        raise ModelNotFound(f"Model {model_id!r} is not registered")

    async def inspect(self, folder: Path) -> Cid:
        self.folder = folder
        self.seen = _files(folder)
        return self.cid

    async def publish(self, upload: ModelUpload) -> PublishedModel:
        self.uploads.append(upload)
        if self.registers:
            return PublishedModel(upload.model_id, self.cid, TxHash("0x" + "ab" * 32), None)
        call = UnsignedTransaction(OWNER, "0x1234", 31337)
        return PublishedModel(upload.model_id, self.cid, None, call)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


PEERS = (
    Peer(WORKER, "192.0.2.100:30303", True, NOON_MS),
    Peer(OWNER, "192.0.2.101:30303", False, None),
)


class MemoryNetwork:
    async def status(self) -> Status:
        usage = Shares(45.2, 67.8, 23.1, 3.1)
        return Status(Health.HEALTHY, 3600, "1.0.0", 5, BlockNumber(12345), usage)

    async def peers(self) -> tuple[Peer, ...]:
        return PEERS

    async def serving(self, model_id: ModelId) -> tuple[ServingNode, ...]:
        return (ServingNode(WORKER, True, frozenset(Feature)),)

    async def owner(self) -> Address:
        return OWNER


@dataclass
class MemoryResources:
    now: Resources = field(
        default_factory=lambda: Resources(
            Shares(10, 15, 10, 5), Shares(8.5, 12.3, 7.2, 3.1), Shares(90, 80, 90, 70)
        )
    )

    async def read(self) -> Resources:
        return self.now

    async def change(self, wish: Allocation) -> Resources:
        names = ("cpu", "memory", "gpu", "storage")
        wanted = {n: getattr(wish, n) for n in names if getattr(wish, n) is not None}
        if any(share > getattr(self.now.limits, name) for name, share in wanted.items()):
            raise NoCapacity("above the limits")
        self.now = replace(self.now, allocation=replace(self.now.allocation, **wanted))
        return self.now


@dataclass
class MemoryKeys:
    """Keys by their secret, for callers and for the authenticator."""

    by_secret: dict[str, Principal] = field(default_factory=dict)
    made: dict[KeyId, ApiKey] = field(default_factory=dict)

    def give(self, secret: str, account: AccountId, *scopes: Scope) -> str:
        key_id = KeyId(f"key{len(self.made)}")
        self.by_secret[secret] = Principal(
            account, frozenset(scopes), Method.API_KEY, key_id=key_id
        )
        self.made[key_id] = ApiKey(key_id, account, frozenset(scopes), NOON_MS, None)
        return secret

    async def create(self, account: AccountId, scopes: frozenset[Scope]) -> NewApiKey:
        secret = self.give(f"dvk_{len(self.made)}", account, *scopes)
        return NewApiKey(self.made[KeyId(f"key{len(self.made) - 1}")], secret)

    async def list(self, account: AccountId) -> tuple[ApiKey, ...]:
        return tuple(key for key in self.made.values() if key.account == account)

    async def revoke(self, account: AccountId, key_id: KeyId) -> None:
        key = self.made.get(key_id)
        if key is None or key.account != account:
            raise NotFound("there is no such key")
        del self.made[key_id]
        gone = [s for s, principal in self.by_secret.items() if principal.key_id == key_id]
        for secret in gone:
            del self.by_secret[secret]


@dataclass
class MemoryAuth:
    """Bearer keys, and for `Signature` whoever the address header names, without a proof."""

    keys: MemoryKeys

    async def identify(self, credentials: Credentials) -> Principal | None:
        scheme, _, rest = credentials.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer":
            return await self.identify_key(rest)
        if scheme == "Signature":
            if rest == "0xbad":
                raise Unauthenticated("this is not the wallet's signature")
            address = Address(credentials.headers["X-Wallet-Address"])
            scopes = frozenset(Scope) - {Scope.OWNER, Scope.NODE}
            return Principal(AccountId(address.lower()), scopes, Method.WALLET, address)
        return None

    async def identify_key(self, secret: str, *, address: str = "") -> Principal:
        try:
            return self.keys.by_secret[secret]
        except KeyError:
            raise Unauthenticated("there is no such key") from None

    async def with_owner(self, principal: Principal) -> Principal:
        if principal.method is Method.WALLET and principal.address == OWNER:
            return replace(principal, scopes=principal.scopes | {Scope.OWNER})
        return principal

    def check_content(self, claimed_sha256: str, fields: Mapping[str, str], cid: Cid) -> None:
        if claimed_sha256 != form_digest(fields, cid):
            raise Unauthenticated("the form is not the one that was signed")

    async def challenge(self, address: Address) -> Challenge:
        return Challenge(f"sign in as {address}", "abcdef1234567890", NOON_MS)

    async def verify(self, message: str, signature: str, scopes: frozenset[Scope]) -> NewApiKey:
        if not message.startswith("sign in as "):
            raise Unauthenticated("this is not a message of ours")
        if Scope.NODE in scopes:
            raise Forbidden("only operators")
        account = AccountId(message.removeprefix("sign in as ").lower())
        return await self.keys.create(account, scopes or frozenset({Scope.READ, Scope.INFER}))


class MemoryCredit:
    async def balance(self, account: AccountId) -> Balance:
        return Balance(Wei(145 * 10**18 + 5 * 10**17), Wei(10**17))


class FreeLimits:
    """Counts nothing."""

    async def count(
        self, dialect: str, rate_class: str, rate: Rate, caller: str, *, spends: bool
    ) -> LimitState:
        return replace(LIMIT, limit=rate.n_calls)

    async def state(
        self, dialect: str, rate_class: str, rate: Rate, caller: str, *, spends: bool
    ) -> LimitState:
        return replace(LIMIT, limit=rate.n_calls)

    async def count_tokens(self, caller: str, n_tokens: int) -> LimitState:
        return LIMIT

    async def token_state(self, caller: str) -> LimitState:
        return LIMIT


class MemoryEvents:
    """Keeps all, and tells them to whoever subscribes."""

    def __init__(self) -> None:
        self.kept: list[Event] = []
        self._news = asyncio.Event()

    def tell(self, name: EventName, payload: Payload, account: AccountId | None = None) -> Event:
        event = Event(len(self.kept) + 1, name, NOON_MS, payload, account)
        self.kept.append(event)
        self._news.set()
        self._news = asyncio.Event()
        return event

    async def subscribe(self, *, after: int | None = None) -> AsyncIterator[Event]:
        at = len(self.kept) if after is None else after
        while True:
            while at < len(self.kept):
                at += 1
                yield self.kept[at - 1]
            await self._news.wait()


class MemoryIdempotency:
    def __init__(self) -> None:
        self._kept: dict[tuple[AccountId, str], tuple[bytes, StoredReply | None]] = {}

    async def begin(
        self, account: AccountId, key: str, digest: bytes, *, joins: bool
    ) -> StoredReply | Attempt:
        found = self._kept.get((account, key))
        if found is None:
            self._kept[account, key] = digest, None
            return Attempt(new_task_id(), is_new=True, is_mine=True)
        if found[0] != digest or found[1] is None:
            raise Conflict("the key is in use")
        return found[1]

    async def finish(self, account: AccountId, key: str, reply: StoredReply) -> None:
        self._kept[account, key] = self._kept[account, key][0], reply

    async def let_go(self, account: AccountId, key: str) -> None:
        self._kept.pop((account, key), None)

    async def abandon(self, account: AccountId, key: str) -> None:
        self._kept.pop((account, key), None)


@dataclass
class MemoryTopUps:
    is_credited: bool = True
    payments: list[SignedPayment] = field(default_factory=list)

    async def payee(self) -> Address:
        return OWNER

    async def relay(self, payment: SignedPayment) -> TopUp:
        self.payments.append(payment)
        return TopUp(TxHash("0x" + "ab" * 32), ASKER, Wei(15 * 10**17), self.is_credited)


@dataclass
class MemoryCore:
    """The parts by themselves, and together as `core`."""

    tasks: MemoryTasks = field(default_factory=MemoryTasks)
    models: MemoryModels = field(default_factory=MemoryModels)
    resources: MemoryResources = field(default_factory=MemoryResources)
    keys: MemoryKeys = field(default_factory=MemoryKeys)
    events: MemoryEvents = field(default_factory=MemoryEvents)
    top_ups: MemoryTopUps = field(default_factory=MemoryTopUps)

    @property
    def core(self) -> Core:
        return Core(
            tasks=self.tasks,
            models=self.models,
            network=MemoryNetwork(),
            resources=self.resources,
            keys=self.keys,
            auth=MemoryAuth(self.keys),
            credit=MemoryCredit(),
            limits=FreeLimits(),
            events=self.events,
            idempotency=MemoryIdempotency(),
        )
