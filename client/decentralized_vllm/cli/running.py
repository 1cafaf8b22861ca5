"""Runs a command's work, and turns what goes wrong into one clear line and an exit code."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import click

from decentralized_vllm.cli.output import remark
from decentralized_vllm.cli.sources import ENV_PREFIX, CommandSettings
from decentralized_vllm.process.plain_group import INTERRUPTED
from decentralized_vllm.protocol.errors import (
    DvllmError,
    JobEnded,
    RetryableError,
    SettingError,
    WaitTimeout,
)

T = TypeVar("T")

EXIT_CODES: tuple[tuple[type[DvllmError], int], ...] = (
    (SettingError, 2),  # as click's own usage errors
    (JobEnded, 3),
    (WaitTimeout, 4),
    (RetryableError, 5),
    (DvllmError, 1),
)
_WRITABLE = "name a folder that can be written"
# Settings that have no flag of their own are told by their variable, and the other way round.
_FLAGS = frozenset(
    (
        *("config", "devnet", "eth_node_url", "contract_address", "chain_id", "ipfs_host"),
        *(
            "key_file",
            "ipfs_port",
            "data_dir",
            "keystore",
            "passphrase_file",
            "max_top_up",
            "max_fee",
        ),
        *("tools", "tool_choice", "token_ids", "model"),
        *("flat_fee", "input_price", "output_price"),
    )
)


def run(work: Coroutine[Any, Any, T], *, as_json: bool, on_interrupt: str = "") -> T:
    """Ends the process on a DvllmError and on Ctrl-C, for which `on_interrupt` is told."""
    try:
        return asyncio.run(work)
    except DvllmError as error:
        fail(error, as_json=as_json)
    except OSError as error:
        if error.filename is None:  # no file that we opened, such as the output
            raise
        reason = f"{error.filename}: {error.strerror}"
        fail(SettingError("data_dir", reason, hint=_WRITABLE), as_json=as_json)
    except KeyboardInterrupt:
        remark(f"interrupted{on_interrupt and ': '}{on_interrupt}")
        raise SystemExit(INTERRUPTED) from None


def fail(error: DvllmError, *, as_json: bool) -> NoReturn:
    if as_json:
        told = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
        if isinstance(error, JobEnded):
            told["refund_wei"] = str(error.refund_wei)
        click.echo(json.dumps({"error": told}))
    remark(f"dvllm: {error}{_where(error)}")
    raise SystemExit(exit_code(error))


def exit_code(error: DvllmError) -> int:
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def _where(error: DvllmError) -> str:
    """How to change the setting that is wrong."""
    if not isinstance(error, SettingError) or error.setting.startswith(ENV_PREFIX):
        return ""  # a variable that is named already is none to set
    ways = [f"--{error.setting.replace('_', '-')}"] if error.setting in _FLAGS else []
    if error.setting in CommandSettings.model_fields:
        ways.append(f"{ENV_PREFIX}{error.setting.upper()}")
    return f" [{' or '.join(ways)}]" if ways else ""
