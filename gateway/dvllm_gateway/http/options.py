"""What all mounts of all dialects share."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dvllm_gateway.http.background import Background
from dvllm_gateway.http.client_address import Network
from dvllm_gateway.http.metrics import Metrics, new_metrics


def unix_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """`trusted_proxies` may say for whom they ask. `background` outlives single requests."""

    trusted_proxies: tuple[Network, ...] = ()
    logs_requests: bool = True
    metrics: Metrics = field(default_factory=new_metrics)
    now_ms: Callable[[], int] = unix_ms
    background: Background = field(default_factory=Background)
