"""Builds the dialects out of the settings: a piece of the composition root."""

from collections.abc import Mapping

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.dialects.dvllm.operations import RATES as DVLLM_RATES
from dvllm_gateway.dialects.dvllm.operations import DvllmOptions, dvllm_dialect
from dvllm_gateway.dialects.dvllm.websocket import DvllmSockets
from dvllm_gateway.dialects.openai.operations import RATES as OPENAI_RATES
from dvllm_gateway.dialects.openai.operations import openai_dialect
from dvllm_gateway.dialects.openai.options import OpenAiOptions
from dvllm_gateway.http.operation import Dialect
from dvllm_gateway.services.durations import Durations
from dvllm_gateway.services.limits import read_rate
from dvllm_gateway.services.ports import Core, Rate
from dvllm_gateway.services.top_ups import TopUps
from dvllm_gateway.services.uploads import Uploads
from dvllm_gateway.settings import GatewaySettings

DVLLM, OPENAI = "dvllm", "openai"


class Apis:
    """`loops` must run. Raises SettingError for rates and a default of what is not there."""

    def __init__(self, settings: GatewaySettings, core: Core, top_ups: TopUps) -> None:
        check_default(settings)
        rates = rates_of(settings)
        uploads = Uploads(settings.uploads_dir, max_bytes=settings.content.max_upload_bytes)
        uploads.clean()
        durations = Durations()
        sockets = DvllmSockets(
            core, rates[DVLLM]["status"], per_address=settings.http.sockets_per_address
        )
        submit_wait_s = settings.tasks.submit_wait_s
        options = DvllmOptions(
            uploads=uploads,
            durations=durations,
            socket=sockets.server,
            top_ups=top_ups,
            submit_wait_s=submit_wait_s,
            rates=rates[DVLLM],
        )
        self.dvllm: Dialect = dvllm_dialect(options)
        self.openai: Dialect = openai_dialect(
            OpenAiOptions(submit_wait_s=submit_wait_s, sync_wait_s=settings.tasks.answer_wait_s),
            rates[OPENAI],
        )
        self.loops = {
            "sockets": sockets.run,
            "socket keys": sockets.recheck,
            "durations": lambda: durations.follow(core.events),
        }


def check_default(settings: GatewaySettings) -> None:
    """Raises SettingError."""
    if settings.http.default_dialect not in (None, DVLLM, OPENAI):
        raise SettingError("http.default_dialect", f"is neither {DVLLM} nor {OPENAI}")


def rates_of(settings: GatewaySettings) -> Mapping[str, Mapping[str, Rate]]:
    """Of each API, by their classes. Raises SettingError."""
    return _rates(settings, {DVLLM: DVLLM_RATES, OPENAI: OPENAI_RATES})


def _rates(
    settings: GatewaySettings, defaults: Mapping[str, Mapping[str, Rate]]
) -> Mapping[str, Mapping[str, Rate]]:
    for dialect, given in settings.rates.items():
        for rate_class in given:
            if rate_class not in defaults.get(dialect, {}):
                raise SettingError(f"rates.{dialect}.{rate_class}", "there is no such rate")
    return {
        dialect: {
            **known,
            **{
                rate_class: read_rate(text, f"rates.{dialect}.{rate_class}")
                for rate_class, text in settings.rates.get(dialect, {}).items()
            },
        }
        for dialect, known in defaults.items()
    }
