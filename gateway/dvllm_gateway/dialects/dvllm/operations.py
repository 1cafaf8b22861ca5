"""Every operation of this dialect, and what together makes it a dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dvllm_gateway.dialects.dvllm import account_schemas, accounts, node, payments, schemas
from dvllm_gateway.dialects.dvllm.accounts import CreditHandlers
from dvllm_gateway.dialects.dvllm.errors import DvllmErrors
from dvllm_gateway.dialects.dvllm.models import ModelHandlers
from dvllm_gateway.dialects.dvllm.tasks import TaskHandlers
from dvllm_gateway.http.operation import Dialect, Operation
from dvllm_gateway.http.websocket import SocketServer
from dvllm_gateway.services.durations import Durations
from dvllm_gateway.services.ports import Rate
from dvllm_gateway.services.principals import Scope
from dvllm_gateway.services.top_ups import TopUps
from dvllm_gateway.services.uploads import Uploads

NAME = "dvllm"
SUBMIT_WAIT_S = 15.0

_HOUR_S = 3600
RATES: Mapping[str, Rate] = {
    "submit": Rate(100, _HOUR_S),
    "models": Rate(1_000, _HOUR_S),
    "status": Rate(10_000, _HOUR_S),
    "auth": Rate(20, 60),
    "wallet": Rate(10, 60),
}


@dataclass(frozen=True, slots=True)
class DvllmOptions:
    """What this dialect needs beside the core. `socket` is its WebSocket; `top_ups` None takes
    none."""

    uploads: Uploads
    durations: Durations
    socket: SocketServer | None = None
    top_ups: TopUps | None = None
    submit_wait_s: float = SUBMIT_WAIT_S
    rates: Mapping[str, Rate] = field(default_factory=lambda: RATES)


def dvllm_dialect(options: DvllmOptions) -> Dialect:
    tasks = TaskHandlers(options.durations, submit_wait_s=options.submit_wait_s)
    return Dialect(
        name=NAME,
        title="decentralized-vllm",
        operations=(
            *_node_operations(node.StatusHandler()),
            *_resource_operations(),
            *_task_operations(tasks),
            *_model_operations(ModelHandlers(options.uploads)),
            *_login_operations(),
            *_account_operations(),
            *_credit_operations(CreditHandlers(options.top_ups)),
        ),
        errors=DvllmErrors(),
        rates=options.rates,
        socket=options.socket,
    )


def _node_operations(status: node.StatusHandler) -> tuple[Operation, ...]:
    return (
        Operation(
            name="getStatus",
            method="GET",
            path="/api/status",
            handler=status.get,
            rate_class="status",
            summary="Health of gateway and network, and what of the machine is in use",
            replies={200: schemas.StatusReply},
        ),
        Operation(
            name="listPeers",
            method="GET",
            path="/api/peers",
            handler=node.get_peers,
            rate_class="status",
            summary="The registered nodes, and whether they answer",
            replies={200: schemas.PeersReply},
        ),
    )


def _resource_operations() -> tuple[Operation, ...]:
    return (
        Operation(
            name="getResources",
            method="GET",
            path="/api/resources",
            handler=node.get_resources,
            rate_class="status",
            summary="Shares of the machine: allotted, in use, and the most that may be allotted",
            scope=Scope.READ,
            replies={200: schemas.ResourcesReply},
        ),
        Operation(
            name="setResources",
            method="POST",
            path="/api/resources",
            handler=node.post_resources,
            rate_class="status",
            summary="Allots shares of the machine to the operator's node",
            scope=Scope.NODE,
            body=schemas.ResourcesBody,
            replies={200: schemas.ResourcesReply},
        ),
    )


def _task_operations(tasks: TaskHandlers) -> tuple[Operation, ...]:
    return (
        Operation(
            name="submitTask",
            method="POST",
            path="/api/tasks/submit",
            handler=tasks.submit,
            rate_class="submit",
            summary="Submits a prompt; 202 when its transaction is not mined yet",
            scope=Scope.INFER,
            body=schemas.SubmitBody,
            replies={200: schemas.SubmitReply, 202: schemas.SubmitReply},
            spends=True,
        ),
        Operation(
            name="getTask",
            method="GET",
            path="/api/tasks/{taskId:(?!submit$)[^/]+}",
            handler=tasks.get,
            rate_class="status",
            summary="One of the caller's tasks",
            scope=Scope.READ,
            replies={200: schemas.TaskReply},
        ),
        Operation(
            name="listTasks",
            method="GET",
            path="/api/tasks",
            handler=tasks.list,
            rate_class="status",
            summary="The caller's tasks, newest first",
            scope=Scope.READ,
            query=schemas.TasksQuery,
            replies={200: schemas.TasksReply},
        ),
    )


def _model_operations(handlers: ModelHandlers) -> tuple[Operation, ...]:
    return (
        Operation(
            name="listModels",
            method="GET",
            path="/api/models",
            handler=handlers.list,
            rate_class="models",
            summary="The registered models",
            replies={200: schemas.ModelsReply},
        ),
        Operation(
            name="uploadModel",
            method="POST",
            path="/api/models/upload",
            handler=handlers.upload,
            rate_class="models",
            summary="Stores a model's files and registers them, for the registry's owner",
            scope=Scope.OWNER,
            body=schemas.UploadForm,
            replies={201: schemas.UploadReply},
            reads_body=False,
            max_body_bytes=handlers.max_body_bytes,
        ),
    )


def _login_operations() -> tuple[Operation, ...]:
    return (
        Operation(
            name="startLogin",
            method="POST",
            path="/api/auth/challenge",
            handler=accounts.post_challenge,
            rate_class="auth",
            summary="A message (EIP-4361) for a wallet to sign",
            body=account_schemas.ChallengeBody,
            replies={200: account_schemas.ChallengeReply},
        ),
        Operation(
            name="finishLogin",
            method="POST",
            path="/api/auth/verify",
            handler=accounts.post_verify,
            rate_class="auth",
            summary="An API key for a signed message",
            body=account_schemas.VerifyBody,
            replies={200: account_schemas.VerifyReply},
        ),
    )


def _account_operations() -> tuple[Operation, ...]:
    return (
        Operation(
            name="listKeys",
            method="GET",
            path="/api/auth/keys",
            handler=accounts.get_keys,
            rate_class="auth",
            summary="The caller's API keys, without their secrets",
            scope=Scope.WALLET,
            replies={200: account_schemas.KeysReply},
        ),
        Operation(
            name="revokeKey",
            method="DELETE",
            path="/api/auth/keys/{keyId}",
            handler=accounts.delete_key,
            rate_class="auth",
            summary="Revokes one of the caller's API keys",
            scope=Scope.WALLET,
            replies={204: None},
        ),
    )


def _credit_operations(handlers: CreditHandlers) -> tuple[Operation, ...]:
    return (
        Operation(
            name="getCredit",
            method="GET",
            path="/api/credit",
            handler=handlers.get,
            rate_class="status",
            summary="The caller's prepaid credit, and whom a top-up pays",
            scope=Scope.READ,
            replies={200: account_schemas.CreditReply},
        ),
        Operation(
            name="topUp",
            method="POST",
            path="/api/credit/top-ups",
            handler=handlers.top_up,
            rate_class="wallet",
            summary="Puts a signed payment (EIP-3009 or EIP-2612) on chain; 202 when not yet mined",
            scope=Scope.READ,
            body=payments.TopUpBody,
            replies={201: payments.TopUpReply, 202: payments.TopUpReply},
        ),
    )
