"""What an operator sets: `gateway.toml`, then DVLLM_GATEWAY__SECTION__FIELD, then flags."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from decentralized_vllm.process import settings_files
from decentralized_vllm.process.settings_files import (
    ChainSection,
    Count,
    FileSettings,
    Port,
    Seconds,
    Section,
    TextList,
    load_program_settings,
)

FILE_NAME = "gateway.toml"
ENV_PREFIX = "DVLLM_GATEWAY__"
GIB = 1 << 30


def _networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        ip_network(text)
    return texts


def _pages(texts: tuple[str, ...]) -> tuple[str, ...]:
    """As browsers write them, since they are compared letter by letter."""
    for text in texts:
        parts = urlsplit(text)
        is_origin = parts.scheme and parts.netloc and text == f"{parts.scheme}://{parts.netloc}"
        if text != "*" and not (is_origin and text == text.lower()):
            raise ValueError(f"{text!r} is not like https://page.example, without a path")
    return texts


PageList = Annotated[TextList, AfterValidator(_pages)]
NetworkList = Annotated[TextList, AfterValidator(_networks)]


class KeySection(settings_files.KeySection):
    """The key that pays for jobs, and how much credit it keeps."""

    variable_prefix: ClassVar[str] = ENV_PREFIX

    credit_low: str = Field("20", description="tokens; below, credit is filled from the wallet")
    credit_full: str = Field("100", description="tokens; up to here")


class ListenSection(Section):
    """The ports. 0 takes a free one."""

    host: str = "127.0.0.1"
    dvllm_port: Port = 8001
    dvllm_ws_port: Port = 8546
    unified_port: Port = Field(8088, description="all APIs, and /v1")
    admin_host: str = Field("127.0.0.1", description="keep it where only operators reach it")
    admin_port: Port = 9464


class HttpSection(Section):
    """How callers reach the listeners, and what each may hold of them."""

    public_origins: TextList = Field(
        (), description="URLs this gateway is called by; what wallets sign must name one of them"
    )
    trusted_proxies: NetworkList = Field((), description="may say for whom they ask")
    cors_origins: PageList = Field((), description="pages of browsers that may call; * for any")
    default_dialect: str | None = Field(None, description="for paths that several APIs have")
    connections_per_address: Count = 100
    sockets_per_address: Count = 10


class ContentSection(Section):
    """Where prompts and models are put: a Kubo-compatible API, or a store of the gateway's own."""

    ipfs_host: str | None = None
    ipfs_port: Annotated[int, Field(ge=1, le=65_535)] = 5001
    max_upload_bytes: int = Field(150 * GIB, ge=1 << 20)


class NodeSection(Section):
    """The operator's own worker, whose resources the gateway shows and sets."""

    node_url: str | None = None
    private_endpoints: bool | None = Field(
        None, description="talk to nodes on private addresses; None: on local chains only"
    )


class DepositsSection(Section):
    """Tokens that wallets send or sign to the gateway's address become their credit."""

    ignored: TextList = Field(
        (), description="addresses whose transfers are no deposits, such as the operator's own"
    )
    min_top_up: str = Field("0.1", description="whole tokens; a smaller one is not worth its gas")


class X402Section(Section):
    """Payment with the request itself, by wallets without an account here."""

    enabled: bool = False


class AuthSection(Section):
    operators: TextList = Field(
        (), description="accounts (wallets, or names) that may have the scopes node and deploy"
    )
    secret_file: Path | None = Field(
        None, description="keys the hashes of API keys; shared by gateways with one database"
    )


class LimitsSection(Section):
    """Budgets of an account over all APIs, like `100/minute`; see `rates` for each API's own."""

    inference: str = "100/minute"
    reads: str = "10000/hour"
    wallet: str = "10/minute"
    deploy: str = "10/hour"
    auth: TextList = Field(("20/minute", "100/hour"), description="logins; each of them holds")
    tokens: str = "1000000/minute"
    bad_credentials: str = Field("60/minute", description="from one address, at one gateway")
    redis_url: SecretStr | None = Field(None, description="count together with other gateways")


class TasksSection(Section):
    at_once: Count = Field(4096, description="tasks that are not over")
    at_once_per_account: Count = 8
    submit_wait_s: Seconds = Field(15.0, description="for a block, before a task's number is told")
    answer_wait_s: Seconds = Field(
        540.0, description="for a whole answer; OpenAI's clients ask again, and pay, after 600"
    )
    drain_s: Seconds = Field(30.0, description="streams may end this long after SIGTERM")


Days = Annotated[int, Field(ge=0, le=36_500)]


class RetentionSection(Section):
    """How many days a task is kept after its end; 0: for ever. The ledger always is."""

    task_texts_days: Days = Field(30, description="prompts and answers")
    tasks_days: Days = Field(0, description="the rest of a task; its texts go with it")


class GatewaySettings(FileSettings):
    """One gateway. Built by `load_settings` only."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    data_dir: Path = Path(platformdirs.user_data_dir("dvllm-gateway"))
    database: SecretStr | None = Field(
        None, description="postgresql://… or a path; None: SQLite in data_dir"
    )
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_requests: bool = True

    chain: ChainSection = ChainSection()
    key: KeySection = KeySection()
    listen: ListenSection = ListenSection()
    http: HttpSection = HttpSection()
    content: ContentSection = ContentSection()
    node: NodeSection = NodeSection()
    deposits: DepositsSection = DepositsSection()
    x402: X402Section = X402Section()
    auth: AuthSection = AuthSection()
    limits: LimitsSection = LimitsSection()
    tasks: TasksSection = TasksSection()
    retention: RetentionSection = RetentionSection()
    rates: dict[str, dict[str, str]] = Field(
        {}, description="of one API: rates.dvllm.submit = '100/hour'"
    )

    @property
    def database_location(self) -> Path | str:
        if self.database is None:
            return self.data_dir / "gateway.sqlite"
        return self.database.get_secret_value()

    @property
    def is_shared(self) -> bool:
        """Whether other gateways may use this database at the same time."""
        return self.database is not None and "postgresql" in self.database.get_secret_value()

    @property
    def secret_path(self) -> Path:
        return self.auth.secret_file or self.data_dir / "server-secret"

    @property
    def uploads_dir(self) -> Path:
        return self.data_dir / "uploads"

    @property
    def secrets(self) -> list[str]:
        """What no log may show."""
        given = (self.key.private_key, self.database, self.limits.redis_url)
        return [secret.get_secret_value() for secret in given if secret is not None]


def load_settings(path: Path | None, flags: dict[str, Any]) -> GatewaySettings:
    """`flags` is nested as the sections are, and wins. Raises SettingError naming what is wrong."""
    return load_program_settings(GatewaySettings, FILE_NAME, path, flags)
