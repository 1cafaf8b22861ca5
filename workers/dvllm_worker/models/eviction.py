"""Which cached models go when another needs their room."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from decentralized_vllm.protocol.errors import StorageFull
from decentralized_vllm.protocol.ids import Cid


@dataclass(frozen=True, slots=True)
class CachedModel:
    cid: Cid
    n_bytes: int
    used_at_s: float


def choose_victims(
    cached: Sequence[CachedModel],
    *,
    needed_bytes: int,
    max_bytes: int,
    free_bytes: int,
    held: Collection[Cid],
    present_bytes: int = 0,
) -> list[CachedModel]:
    """The least recently used models whose going makes room, under the limit and on the disk.

    A held model, one that is being served, never goes. `present_bytes` of those needed are on the
    disk already. Raises StorageFull when that is not enough.
    """
    over_limit = sum(model.n_bytes for model in cached) + needed_bytes - max_bytes
    over_disk = needed_bytes - present_bytes - free_bytes
    to_free = max(over_limit, over_disk)
    victims: list[CachedModel] = []
    for model in sorted(cached, key=lambda model: model.used_at_s):
        if to_free <= 0:
            break
        if model.cid not in held:
            victims.append(model)
            to_free -= model.n_bytes
    if to_free > 0:
        raise StorageFull(
            f"a model of {_gb(needed_bytes)} needs {_gb(to_free)} more than can be made free",
            hint="serve fewer models, raise models.max_bytes, or use a larger disk for data_dir",
        )
    return victims


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB"
