"""Settings of a program: its TOML file, then its environment's variables, then its flags."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import new_class
from typing import Annotated, Any, ClassVar, TypeVar, cast

import platformdirs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from decentralized_vllm.process.environment import check_variables
from decentralized_vllm.protocol.errors import SettingError

_OF_OWN_CHECKS = "Value error, "  # pydantic's, before the words of a validator


def _listed(value: Any) -> Any:
    """In the environment and in flags a list is written with commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


TextList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChainSection(Section):
    """Where the chain is, and which deployment on it."""

    eth_node_url: TextList = ("http://127.0.0.1:8545",)
    ws_url: str | None = Field(None, description="websocket of the chain; without it, polling")
    contract_address: str = Field("", description="of the InferenceCoordinator")
    chain_id: int | None = Field(None, description="refuse any other chain")
    first_block: int = Field(0, ge=0, description="of the deployment")
    confirmations: Count = Field(1, description="blocks until what is mined counts")
    poll_s: float = Field(1.0, gt=0)


class KeySection(Section):
    """The program's own key: a keystore, or on local chains a raw key. One per process."""

    variable_prefix: ClassVar[str] = ""  # of the program's variables, to name one to its operator

    keystore: Path | None = None
    passphrase_file: Path | None = Field(None, description="without it, a prompt asks")
    private_key: SecretStr | None = Field(None, description="local chains only")
    lock_dir: Path = Field(
        Path(platformdirs.user_data_dir("dvllm")) / "locks",
        description="where this user's processes see which keys are in use",
    )


class FileSettings(BaseSettings):
    """Settings that `settings_of` also finds in a file."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = TomlConfigSettingsSource(settings_cls, settings_cls.model_config.get("toml_file"))
        return init_settings, env_settings, file


S = TypeVar("S", bound=FileSettings)


def settings_of(kind: type[S], file: Path, flags: Mapping[str, Any]) -> S:
    """`flags` is nested as the sections are, and wins; a file that is not there says nothing.

    Raises ValidationError, ValueError for a file that is not TOML, and SettingError for a variable
    that has the program's prefix and is no setting.
    """
    check_variables(kind, os.environ)
    config = SettingsConfigDict(toml_file=file)
    with_file = new_class(kind.__name__, (kind,), {}, lambda body: body.update(model_config=config))
    return cast(type[S], with_file)(**flags)


def load_program_settings(
    kind: type[S], file_name: str, path: Path | None, flags: Mapping[str, Any]
) -> S:
    """From the file at `path`, or without one from where this user keeps it.

    Raises SettingError naming the field, or the variable.
    """
    if path is not None and not path.is_file():
        raise SettingError("--config", f"there is no file {path}")
    try:
        return settings_of(kind, path or default_file(file_name), flags)
    except ValidationError as error:
        raise first_problem(error, otherwise=file_name) from None
    except ValueError as error:  # not TOML, or a section given as text in the environment
        raise SettingError(file_name, f"can not be read: {error}") from None


def default_file(name: str) -> Path:
    """The one in this folder if there is one, else the one in the user's."""
    here = Path(name)
    return here if here.is_file() else Path(platformdirs.user_config_dir("dvllm")) / name


def first_problem(error: ValidationError, *, otherwise: str) -> SettingError:
    """Names the field, or `otherwise` the file, and never its value, which may be a key."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"]) or otherwise
    return SettingError(name, first["msg"].removeprefix(_OF_OWN_CHECKS))
