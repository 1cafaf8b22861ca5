"""What the commands of a program share: their options, how they fail, and how they print."""

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import click

from decentralized_vllm.process.setting_names import message_by_sections
from decentralized_vllm.process.settings_files import FileSettings
from decentralized_vllm.protocol.errors import DvllmError

S = TypeVar("S", bound=FileSettings)

Result = Mapping[str, Any]
Work = Callable[..., Coroutine[Any, Any, Result]]


def _own_hint(error: Any) -> str | None:
    hint: str | None = error.hint
    return hint


def _always(_: Result) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Program(Generic[S]):
    """`load` makes settings of a file and of flags, `prepare` opens logs and folders for them.

    `errors` have a `message` and are told in a line; all others are defects, with a traceback.
    `setting_names` are what this program calls some of the library's settings.
    """

    file_name: str
    data_dir_help: str
    load: Callable[[Path | None, dict[str, Any]], S]
    prepare: Callable[[S], None]
    errors: tuple[type[Exception], ...] = (DvllmError,)
    hint_of: Callable[[Any], str | None] = _own_hint
    setting_names: Mapping[str, str] = field(default_factory=dict)

    def command(
        self,
        *,
        name: str,
        say: Callable[[Result], str],
        help_text: str,
        is_success: Callable[[Result], bool] = _always,
    ) -> Callable[[Work], click.Command]:
        """Makes `work(settings, **options)` a command. Its result is printed by `say`, or as
        JSON; one that is no success is printed as well, and exits with 1."""

        def decorate(work: Work) -> click.Command:
            @functools.wraps(work)
            def run(as_json: bool, **options: Any) -> None:
                try:
                    settings = self.load(options.pop("config"), _taken_flags(options))
                    self.prepare(settings)
                    result = asyncio.run(work(settings, **options))
                except self.errors as error:
                    self._fail(error, as_json=as_json)
                except BaseExceptionGroup as group:
                    known = group.subgroup(self.errors)
                    if known is None:
                        raise
                    self._fail(_first_of(known), as_json=as_json)
                click.echo(json.dumps(result) if as_json else say(result))
                if not is_success(result):
                    raise SystemExit(1)

            command = click.command(name=name, help=help_text)(run)
            for option in self._options():
                command = option(command)
            return command

        return decorate

    def _options(self) -> tuple[Callable[[click.Command], click.Command], ...]:
        path = click.Path(path_type=Path)
        return (
            click.option("--config", type=path, help=f"{self.file_name} to read."),
            click.option("--data-dir", type=path, help=self.data_dir_help),
            click.option("--rpc", metavar="URL", help="RPC of the chain; several with commas."),
            click.option(
                "--contract", metavar="ADDRESS", help="Address of the InferenceCoordinator."
            ),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        )

    def _fail(self, error: Any, *, as_json: bool) -> NoReturn:
        """One line for a person, or one object for a program; never a traceback."""
        hint = self.hint_of(error) or None
        of_library = isinstance(error, DvllmError)
        message = message_by_sections(error, self.setting_names) if of_library else error.message
        if as_json:
            told = {"error": type(error).__name__, "message": message, "hint": hint}
            click.echo(json.dumps(told))
            raise SystemExit(1)
        raise click.ClickException(f"{message}\n  -> {hint}" if hint else message)


def _first_of(group: BaseExceptionGroup[Exception]) -> Exception:
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


def _taken_flags(options: dict[str, Any]) -> dict[str, Any]:
    """Given options only, nested as the settings are; they are taken out of `options`."""
    data_dir = options.pop("data_dir")
    chain = {"eth_node_url": options.pop("rpc"), "contract_address": options.pop("contract")}
    given = {name: value for name, value in chain.items() if value is not None}
    nested: dict[str, Any] = {"chain": given} if given else {}
    return nested | ({"data_dir": data_dir} if data_dir is not None else {})
