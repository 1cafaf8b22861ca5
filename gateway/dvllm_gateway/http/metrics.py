"""Every figure that the gateway tells Prometheus, declared in one place."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS_S = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300,
)  # fmt: skip
OWN_TIME_BUCKETS_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.02, 0.05, 0.1, 0.5, 2)

_PREFIX = "dvllm_gateway"
_ASKED = ("dialect", "operation")


class Metrics:
    """One set per process. Labels come from code and operators, never from callers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._n_requests: dict[tuple[str, str, int], Counter] = {}
        self._times: dict[tuple[str, str], tuple[Histogram, Histogram]] = {}
        self.requests = self._counter("requests", "Requests answered.", *_ASKED, "status")
        self.latency = self._histogram(
            "request_seconds",
            "From the head of a request to the end of its reply.",
            LATENCY_BUCKETS_S,
        )
        self.own_time = self._histogram(
            "own_seconds",
            "The same without waiting for a block, a node or the caller.",
            OWN_TIME_BUCKETS_S,
        )
        self.streams = self._gauge("streams", "Event streams being written.")
        self.sockets = self._gauge("sockets", "WebSockets open.", "dialect")
        self.socket_frames = self._counter("socket_frames", "Frames sent.", "dialect")
        self.slow_readers = self._counter("slow_readers", "Clients that were let go.", "kind")
        self.open_tasks = self._gauge("open_tasks", "Tasks that are not over.")
        self.credit = self._gauge("credit_tokens", "Credit of the gateway's key.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", text, _ASKED, buckets=buckets, registry=self.registry)

    def count(self, answered: "Answered") -> None:
        asked = (answered.dialect, answered.operation)
        n_requests = self._n_requests.get((*asked, answered.status))
        if n_requests is None:  # the library looks children up under a lock
            n_requests = self.requests.labels(*asked, str(answered.status))
            self._n_requests[*asked, answered.status] = n_requests
        times = self._times.get(asked)
        if times is None:
            times = self.latency.labels(*asked), self.own_time.labels(*asked)
            self._times[asked] = times
        n_requests.inc()
        times[0].observe(answered.total_s)
        times[1].observe(answered.own_s)


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
