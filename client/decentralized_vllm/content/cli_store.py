"""Opens the store a command works on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from platformdirs import user_data_path

from decentralized_vllm.content.fallback import FallbackStore
from decentralized_vllm.content.gateway import GatewayStore
from decentralized_vllm.content.kubo import KuboStore
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.content.profiles import profile_named
from decentralized_vllm.protocol.errors import SettingError

Writable = LocalStore | KuboStore
Readable = Writable | FallbackStore


def store_path(store: Path | None) -> Path:
    return store or user_data_path("dvllm") / "content"


@asynccontextmanager
async def open_writable(
    store: Path | None, api: str | None, *, profile: str = "v1"
) -> AsyncIterator[Writable]:
    """Raises SettingError, naming the flag."""
    chosen = profile_named(profile)
    if api is not None:
        if store is not None:
            raise SettingError("--api", "give either --store or --api, not both")
        async with KuboStore(api, chosen, setting="--api") as kubo:
            yield kubo
    else:
        async with LocalStore(store_path(store), chosen, setting="--store") as local:
            yield local


@asynccontextmanager
async def open_readable(
    store: Path | None, api: str | None, gateways: Sequence[str]
) -> AsyncIterator[Readable]:
    """The store, with gateways behind it for what it lacks. Raises SettingError."""
    async with AsyncExitStack() as stack:
        own = await stack.enter_async_context(open_writable(store, api))
        if not gateways:
            yield own
            return
        if isinstance(own, KuboStore):
            raise SettingError("--gateway", "give either --api or --gateway: a server reads itself")
        # The user names these addresses, so private ones are as good as others.
        far = await stack.enter_async_context(GatewayStore(gateways, public_only=False))
        yield FallbackStore(own, [far])
