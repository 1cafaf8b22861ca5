"""What an operator sets: `worker.toml`, then DVLLM_WORKER__SECTION__FIELD, then flags."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import platformdirs
from pydantic import AfterValidator, AliasChoices, Field
from pydantic_settings import SettingsConfigDict

from decentralized_vllm.process import settings_files
from decentralized_vllm.process.settings_files import (
    FileSettings,
    Port,
    Seconds,
    Section,
    TextList,
    load_program_settings,
)
from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.profile_texts import check_endpoint, check_region

FILE_NAME = "worker.toml"
ENV_PREFIX = "DVLLM_WORKER__"
GIB = 1 << 30


class ChainSection(settings_files.ChainSection):
    """Where the chain is, and its pace."""

    block_time_s: float = Field(2.0, gt=0, description="usual time between two blocks")

    @property
    def reserve_s(self) -> float:
        """Kept of every lease for its one transaction to be mined: two blocks."""
        return 2 * self.block_time_s


class KeySection(settings_files.KeySection):
    """The node's own key."""

    variable_prefix: ClassVar[str] = ENV_PREFIX


class NodeSection(Section):
    """What the node offers, and which work beside its own leases it looks for."""

    slots: int | None = Field(None, ge=1, le=65_535, description="None: what the engine can do")
    endpoint: Annotated[str, AfterValidator(check_endpoint)] | None = Field(
        None, description="public URL of the listener, if reachable"
    )
    region: Annotated[str, AfterValidator(check_region)] = ""
    payout: str | None = Field(None, description="who is paid; fixed at registration")
    take_jobs: bool = Field(True, description="take open jobs and lapsed leases")
    take_jitter_s: Seconds = 2.0
    expire_overdue: bool = Field(False, description="expire overdue jobs of others, for their gas")
    settle_every_s: Seconds = Field(3600.0, description="mature own earnings this often; 0: never")
    token_value_wei: int | None = Field(
        None, ge=0, description="worth of one token in the chain's coin; None: take at any price"
    )
    pause_when_stopped: bool = Field(
        True, description="set the slots to 0 on chain while the worker does not run"
    )
    resume_on_start: bool = Field(False, description="take duty again after a no-show")
    managers: TextList = Field(
        (), description="further addresses that may allot resources, such as a gateway's key"
    )
    max_ram_mib: int | None = Field(None, ge=0, description="None: what this machine has")
    max_vram_mib: int = Field(0, ge=0)
    max_cpu_percent: int | None = Field(None, ge=0, description="100 per core; None: all cores")


class HttpSection(Section):
    """The one listener."""

    host: str = "127.0.0.1"
    port: Port = 8090
    public_names: TextList = Field((), description="further host:port names it is called by")


class ContentSection(Section):
    """Where prompts and models are read from, beside the own store."""

    gateways: TextList = Field((), description="trustless gateways, in order")
    allow_private_addresses: bool = Field(False, description="sources on private networks")
    mirror_api: str | None = Field(None, description="a Kubo RPC that gets a copy of each answer")
    fetch_timeout_s: float = Field(30.0, gt=0, description="for the bytes of one prompt")
    store_max_bytes: int = Field(20 * GIB, ge=1 << 20)
    keep_s: Seconds = Field(7 * 86_400.0, description="prompts and answers, from delivery on")


class ModelsSection(Section):
    """The model cache."""

    max_bytes: int = Field(200 * GIB, ge=1 << 20)
    max_model_bytes: int = Field(150 * GIB, ge=1 << 20)
    follow_updates: bool = Field(True, description="join announced versions of served models")
    from_peers: bool = Field(True, description="fetch from nodes that serve the model, first")
    serve_to_peers: bool = Field(True, description="offer fetched models to other nodes")


class LimitsSection(Section):
    """Times of the pipeline, in seconds of chain time."""

    drain_s: Seconds = Field(60.0, description="leases may finish this long after SIGTERM")
    engine_wait_s: Seconds = Field(20.0, description="for an engine that is starting")
    sweep_every_s: float = Field(30.0, gt=0)


class WorkerSettings(FileSettings):
    """One node. Built by `load_settings` only."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    data_dir: Path = Path(platformdirs.user_data_dir("dvllm-worker"))
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    fault_at: str | None = Field(
        None,
        validation_alias=AliasChoices("fault_at", "FAULT_AT"),
        description="tests only: end the process before:<stage> or after:<stage>",
    )

    chain: ChainSection = ChainSection()
    key: KeySection = KeySection()
    node: NodeSection = NodeSection()
    http: HttpSection = HttpSection()
    content: ContentSection = ContentSection()
    models: ModelsSection = ModelsSection()
    limits: LimitsSection = LimitsSection()
    engine: EngineSettings = EngineSettings()

    @property
    def database_path(self) -> Path:
        return self.data_dir / "worker.sqlite"

    @property
    def store_dir(self) -> Path:
        return self.data_dir / "store"

    @property
    def allotment_path(self) -> Path:
        return self.data_dir / "resources.json"

    @property
    def models_dir(self) -> Path:
        return self.data_dir / "models"


def load_settings(path: Path | None, flags: dict[str, Any]) -> WorkerSettings:
    """`flags` is nested as the sections are, and wins. Raises SettingError naming what is wrong."""
    return load_program_settings(WorkerSettings, FILE_NAME, path, flags)
