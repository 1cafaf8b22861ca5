"""What an operator sets: `worker.toml`, then DVLLM_WORKER__SECTION__FIELD, then flags."""

from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from decentralized_vllm.protocol.errors import SettingError
from dvllm_worker.engines.settings import EngineSettings

FILE_NAME = "worker.toml"
ENV_PREFIX = "DVLLM_WORKER__"
GIB = 1 << 30


def _listed(value: Any) -> Any:
    """In the environment and in flags a list is written with commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


TextList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChainSection(_Section):
    """Where the chain is, and which deployment on it."""

    eth_node_url: TextList = ("http://127.0.0.1:8545",)
    ws_url: str | None = Field(None, description="websocket of the chain; without it, polling")
    contract_address: str = Field("", description="of the InferenceCoordinator")
    chain_id: int | None = Field(None, description="refuse any other chain")
    first_block: int = Field(0, ge=0, description="of the deployment")
    confirmations: int = Field(1, ge=1, description="blocks until a request is acted on")
    poll_s: float = Field(1.0, gt=0)
    block_time_s: float = Field(2.0, gt=0, description="usual time between two blocks")


class KeySection(_Section):
    """The node's key: a keystore, or on local chains a raw key."""

    keystore: Path | None = None
    passphrase_file: Path | None = Field(None, description="without it, a prompt asks")
    private_key: SecretStr | None = Field(None, description="local chains only")
    lock_dir: Path = Field(
        Path(platformdirs.user_data_dir("dvllm")) / "locks",
        description="where this user's processes see which keys are in use",
    )


class NodeSection(_Section):
    """What the node offers, and which work beside its own leases it looks for."""

    slots: int | None = Field(None, ge=1, le=65_535, description="None: what the engine can do")
    endpoint: str | None = Field(None, description="public URL of the listener, if reachable")
    region: str = ""
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


class HttpSection(_Section):
    """The one listener."""

    host: str = "127.0.0.1"
    port: Port = 8090
    public_names: TextList = Field((), description="further host:port names it is called by")


class ContentSection(_Section):
    """Where prompts and models are read from, beside the own store."""

    gateways: TextList = Field((), description="trustless gateways, in order")
    allow_private_addresses: bool = Field(False, description="sources on private networks")
    mirror_api: str | None = Field(None, description="a Kubo RPC that gets a copy of each answer")
    fetch_timeout_s: float = Field(30.0, gt=0, description="for the bytes of one prompt")
    store_max_bytes: int = Field(20 * GIB, ge=1 << 20)
    keep_s: Seconds = Field(7 * 86_400.0, description="prompts and answers, from delivery on")


class ModelsSection(_Section):
    """The model cache."""

    max_bytes: int = Field(200 * GIB, ge=1 << 20)
    max_model_bytes: int = Field(150 * GIB, ge=1 << 20)
    follow_updates: bool = Field(True, description="join announced versions of served models")
    from_peers: bool = Field(True, description="fetch from nodes that serve the model, first")
    serve_to_peers: bool = Field(True, description="offer fetched models to other nodes")


class LimitsSection(_Section):
    """Times of the pipeline, in seconds of chain time."""

    drain_s: Seconds = Field(60.0, description="leases may finish this long after SIGTERM")
    engine_wait_s: Seconds = Field(20.0, description="for an engine that is starting")
    sweep_every_s: float = Field(30.0, gt=0)


class WorkerSettings(BaseSettings):
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


def default_file() -> Path:
    """`worker.toml` here if there is one, else the one in the user's folder."""
    here = Path(FILE_NAME)
    return here if here.is_file() else Path(platformdirs.user_config_dir("dvllm")) / FILE_NAME


def load_settings(path: Path | None, flags: dict[str, Any]) -> WorkerSettings:
    """`flags` is nested as the sections are, and wins. Raises SettingError naming the field."""
    if path is not None and not path.is_file():
        raise SettingError("--config", f"there is no file {path}")

    class FromFile(WorkerSettings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            toml = TomlConfigSettingsSource(settings_cls, path or default_file())
            return init_settings, env_settings, toml

    try:
        return FromFile(**flags)
    except ValidationError as error:
        raise _first_problem(error) from None
    except ValueError as error:  # not TOML, or a section given as text in the environment
        raise SettingError(FILE_NAME, f"can not be read: {error}") from None


def _first_problem(error: ValidationError) -> SettingError:
    """Names the field and never its value, which may be a key."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"]) or FILE_NAME
    return SettingError(name, first["msg"])
