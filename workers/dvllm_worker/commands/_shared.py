"""What all commands of the worker share: their options, how they fail, and how they print."""

from typing import Any

import click

from decentralized_vllm.process.commands import Program
from decentralized_vllm.protocol.errors import InvalidAmount, SettingError
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.units import parse_tokens
from dvllm_worker.logs import set_up_logging
from dvllm_worker.settings import FILE_NAME, WorkerSettings, load_settings


def _prepare(settings: WorkerSettings) -> None:
    """Raises SettingError."""
    set_up_logging(
        log_format=settings.log_format, level=settings.log_level, secrets=_secrets_of(settings)
    )
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError("data_dir", f"{settings.data_dir}: {error.strerror}") from error


def _secrets_of(settings: WorkerSettings) -> list[str]:
    """What may never be seen in a log."""
    secrets = [secret for secret in (settings.key.private_key, settings.engine.api_key) if secret]
    texts = [secret.get_secret_value() for secret in secrets]
    return texts + [text.removeprefix("0x") for text in texts]


node_command = Program(
    file_name=FILE_NAME,
    data_dir_help="Journal, store and models.",
    load=load_settings,
    prepare=_prepare,
    setting_names={"database": "data_dir"},  # that is all an operator sets of it
).command


class TokenAmount(click.ParamType[Wei]):
    """A decimal amount of tokens, as wei; more than none, which the contracts refuse."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Wei:
        if isinstance(value, int):
            return Wei(value)
        try:
            amount_wei = parse_tokens(str(value))
        except InvalidAmount as error:
            self.fail(error.message, param, ctx)
        if amount_wei == 0:
            self.fail("has to be more than 0", param, ctx)
        return amount_wei
