"""Settings of the local network: `devnet.toml`, overridden by the environment.

A variable is named DVLLM_DEVNET__SECTION__FIELD. Amounts: decimal NEURO in the file, wei here.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import SettingsConfigDict

from decentralized_vllm.process.settings_files import FileSettings, first_problem, settings_of
from decentralized_vllm.protocol.errors import InvalidAmount, SettingError
from decentralized_vllm.protocol.units import parse_tokens

FILE_NAME = "devnet.toml"
MAX_WORKERS = 32
_DEMO_WORKERS = 2


def _to_wei(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError('an amount is a decimal text such as "1.5"')
    try:
        return parse_tokens(value)
    except InvalidAmount as error:
        raise ValueError(error.message) from None


AmountWei = Annotated[int, BeforeValidator(_to_wei)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[int, Field(ge=0, le=65_535)]
EngineChoice = Literal["auto", "transformers", "vllm", "null"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChainSettings(_Section):
    port: Port
    chain_id: int = Field(ge=1)
    block_time_s: int = Field(ge=1)
    save_interval_s: int = Field(ge=1)


class ContentSettings(_Section):
    api_port: Port
    gateway_port: Port


class WorkerSettings(_Section):
    count: int = Field(ge=1, le=MAX_WORKERS)
    first_port: Port
    slots: int = Field(ge=1, le=1_000)
    stake: AmountWei


class RequesterSettings(_Section):
    tokens: AmountWei
    credit: AmountWei


class GatewaySettings(_Section):
    enabled: bool
    dvllm_port: Port
    dvllm_ws_port: Port
    unified_port: Port
    admin_port: Port
    tokens: AmountWei
    credit: AmountWei

    @property
    def ports(self) -> dict[str, int]:
        """Setting's name → port; none of a gateway that is not to run."""
        if not self.enabled:
            return {}
        names = ("dvllm_port", "dvllm_ws_port", "unified_port", "admin_port")
        return {f"gateway.{name}": getattr(self, name) for name in names}


class ClockSettings(_Section):
    lease_s: Seconds
    grace_s: Seconds
    open_s: Seconds
    max_attempts: int = Field(ge=1, le=4)
    epoch_s: Seconds
    cool_down_s: Seconds
    announce_delay_s: Seconds


class MarketSettings(_Section):
    fee_bps: int = Field(ge=0, le=10_000)
    stake_unit: AmountWei
    publisher_bond: AmountWei
    no_show_reward_cap: AmountWei


class TermsSettings(_Section):
    input_price: AmountWei
    output_price: AmountWei
    flat_fee: AmountWei
    max_fee: AmountWei
    max_input_tokens: int = Field(ge=1)
    max_output_tokens: int = Field(ge=1)


class ModelSettings(_Section):
    source: Literal["smollm2", "tiny"]
    id: str = Field(min_length=1)
    name: str = Field(min_length=1)


class DemoSettings(_Section):
    lease_s: Seconds
    open_s: Seconds
    max_tokens: int = Field(ge=1)


class DevnetSettings(FileSettings):
    """One local network. Built by `load_settings` only."""

    model_config = SettingsConfigDict(
        env_prefix="DVLLM_DEVNET__", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    chain: ChainSettings
    content: ContentSettings
    workers: WorkerSettings
    requester: RequesterSettings
    gateway: GatewaySettings
    clocks: ClockSettings
    market: MarketSettings
    terms: TermsSettings
    model: ModelSettings
    demo: DemoSettings

    @property
    def ports(self) -> dict[str, int]:
        """Setting's name → port, of all that this network listens on."""
        ports = {
            "chain.port": self.chain.port,
            "content.api_port": self.content.api_port,
            "content.gateway_port": self.content.gateway_port,
            **self.gateway.ports,
        }
        for number in range(1, self.workers.count + 1):
            ports[f"workers.first_port (worker-{number})"] = self.worker_port(number)
        return ports

    def worker_port(self, number: int) -> int:
        return self.workers.first_port + number - 1

    @property
    def fixed_at_deployment(self) -> dict[str, dict[str, Any]]:
        """What contracts keep for life: a saved network can not take these over."""
        sections: dict[str, BaseModel] = {
            "clocks": self.clocks,
            "market": self.market,
            "terms": self.terms,
        }
        return {name: section.model_dump() for name, section in sections.items()}


def load_settings(file: Path) -> DevnetSettings:
    """Raises SettingError, which names the file or the field."""
    if not file.is_file():
        raise SettingError("--config", f"{file} is missing", hint="run this in the checkout")

    try:
        return settings_of(DevnetSettings, file, {})
    except ValidationError as error:
        raise first_problem(error, otherwise=file.name) from None
    except ValueError as error:  # not TOML
        raise SettingError("--config", f"{file}: {error}") from None


def for_demo(settings: DevnetSettings) -> DevnetSettings:
    """The network of the demonstration: two workers, short clocks, nothing in front of it."""
    clocks = settings.clocks.model_copy(
        update={"lease_s": settings.demo.lease_s, "open_s": settings.demo.open_s}
    )
    gateway = settings.gateway.model_copy(update={"enabled": False})
    changed = settings.model_copy(update={"clocks": clocks, "gateway": gateway})
    return with_workers(changed, _DEMO_WORKERS)


def with_workers(settings: DevnetSettings, count: int | None) -> DevnetSettings:
    """The same network with another number of workers. Raises SettingError."""
    if count is None:
        return settings
    if not 1 <= count <= MAX_WORKERS:
        raise SettingError("--workers", f"{count} is not within 1..{MAX_WORKERS}")
    workers = settings.workers.model_copy(update={"count": count})
    return settings.model_copy(update={"workers": workers})
