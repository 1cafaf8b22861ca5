"""Every figure that the gateway tells Prometheus, declared in one place."""

from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS_S = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300,
)  # fmt: skip
OWN_TIME_BUCKETS_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.02, 0.05, 0.1, 0.5, 2)


class Metrics:
    """One set per process. Labels come from code and operators, never from callers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        asked = ("dialect", "operation")
        self.requests = Counter(
            "dvllm_gateway_requests",
            "Requests answered.",
            (*asked, "status"),
            registry=registry,
        )
        self.latency = Histogram(
            "dvllm_gateway_request_seconds",
            "From the head of a request to the end of its reply.",
            asked,
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.own_time = Histogram(
            "dvllm_gateway_own_seconds",
            "The same without waiting for a block, a node or the caller.",
            asked,
            buckets=OWN_TIME_BUCKETS_S,
            registry=registry,
        )
        self.streams = Gauge(
            "dvllm_gateway_streams", "Event streams being written.", registry=registry
        )
        self.sockets = Gauge(
            "dvllm_gateway_sockets", "WebSockets open.", ("dialect",), registry=registry
        )
        self.socket_frames = Counter(
            "dvllm_gateway_socket_frames", "Frames sent.", ("dialect",), registry=registry
        )
        self.slow_readers = Counter(
            "dvllm_gateway_slow_readers", "Clients that were let go.", ("kind",), registry=registry
        )
        self.open_tasks = Gauge(
            "dvllm_gateway_open_tasks", "Tasks that are not over.", registry=registry
        )
        self.credit = Gauge(
            "dvllm_gateway_credit_tokens",
            "Credit of the gateway's key at the coordinator.",
            registry=registry,
        )


METRICS: web.RequestKey[Metrics] = web.RequestKey("metrics", Metrics)


def new_metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@dataclass(frozen=True, slots=True)
class Answered:
    """One request, when its reply has ended."""

    dialect: str
    operation: str
    status: int
    total_s: float
    own_s: float
    request_id: str
    address: str = field(repr=False)


def count_answered(metrics: Metrics, answered: Answered) -> None:
    asked = (answered.dialect, answered.operation)
    metrics.requests.labels(*asked, str(answered.status)).inc()
    metrics.latency.labels(*asked).observe(answered.total_s)
    metrics.own_time.labels(*asked).observe(answered.own_s)
