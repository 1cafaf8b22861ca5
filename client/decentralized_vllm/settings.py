"""What a client is told: where chain and content are, whose money it spends and how much of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from platformdirs import user_data_path

from decentralized_vllm.protocol.amounts import TokenAmount
from decentralized_vllm.protocol.errors import SettingError

DEFAULT_IPFS_PORT = 5001
DEFAULT_MAX_TOP_UP = "10"


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Everything but `eth_node_url` and `contract_address` has a default.

    eth_node_url: one URL, or several of the same chain for failover.
    private_key: 64 hex digits; or `keystore`, a keystore v3 file opened by `passphrase`. Without
        either, the client can read but not submit.
    local_key_only: refuse `private_key` on chains that are not local, as for a key that came from
        the environment.
    ipfs_host, ipfs_port: a Kubo-compatible API. Without a host, a store of the client's own in
        `store`, which no other process may hold at the same time.
    ws_url: new blocks are noticed at once instead of every `poll_s` seconds.
    chain_id: refuse any other chain.
    max_top_up: whole tokens that one submission may move from the wallet into the coordinator.
    expire_overdue: a job that nobody answered in time is ended by the client that waits for it, so
        that the money comes back.
    private_endpoints: talk to nodes whose endpoint is not a public address; None allows it on
        local chains only.
    first_block: the deployment's block; no search for old jobs goes below it.
    """

    eth_node_url: str | Sequence[str]
    contract_address: str
    private_key: str | None = field(default=None, repr=False)
    keystore: str | PathLike[str] | None = None
    passphrase: str | None = field(default=None, repr=False)
    local_key_only: bool = False
    ipfs_host: str | None = None
    ipfs_port: int = DEFAULT_IPFS_PORT
    ws_url: str | None = None
    chain_id: int | None = None
    data_dir: str | PathLike[str] | None = None
    store: str | PathLike[str] | None = None
    max_top_up: TokenAmount = DEFAULT_MAX_TOP_UP
    expire_overdue: bool = True
    private_endpoints: bool | None = None
    first_block: int = 0
    poll_s: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.ipfs_port, int) or not 0 < self.ipfs_port < 65536:
            raise SettingError("ipfs_port", f"{self.ipfs_port!r} is not a port")
        if not isinstance(self.chain_id, int | None):
            raise SettingError("chain_id", f"{self.chain_id!r} is not an int")
        if not isinstance(self.first_block, int) or self.first_block < 0:
            raise SettingError("first_block", f"{self.first_block!r} is not a block's number")
        if not self.poll_s > 0:  # nor NaN
            raise SettingError("poll_s", "must be more than 0 seconds")
        if self.private_key is not None and self.keystore is not None:
            raise SettingError("keystore", "give either a keystore or private_key, not both")

    @property
    def eth_node_urls(self) -> tuple[str, ...]:
        is_one = isinstance(self.eth_node_url, str)
        return (str(self.eth_node_url),) if is_one else tuple(self.eth_node_url)

    @property
    def data_path(self) -> Path:
        """Outbox and store of this user, unless `data_dir` names another folder."""
        return Path(self.data_dir) if self.data_dir else user_data_path("dvllm")

    @property
    def store_path(self) -> Path:
        return Path(self.store) if self.store else self.data_path / "content"
