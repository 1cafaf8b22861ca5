"""`gateway start`: serve until told to stop."""

from decentralized_vllm.process.commands import Result
from decentralized_vllm.process.stopping import StopSignals
from dvllm_gateway.app import run_gateway
from dvllm_gateway.commands._shared import gateway_command
from dvllm_gateway.settings import GatewaySettings


def _say(_: Result) -> str:
    return "stopped"


@gateway_command(
    name="start",
    say=_say,
    help_text="""Serve the network over HTTP until Ctrl-C or SIGTERM.

    The first signal stops taking requests and lets streams end, the second ends at once. Tasks go
    on when a gateway starts again: its database knows every one of them.

    \b
    Examples:
      gateway start
      gateway start --config /etc/dvllm/gateway.toml
      DVLLM_GATEWAY__LISTEN__UNIFIED_PORT=9000 gateway start
      DVLLM_GATEWAY__DATABASE=postgresql://dvllm@db/gateway gateway start
    """,
)
async def start(settings: GatewaySettings) -> Result:
    await run_gateway(settings, StopSignals())
    return {"stopped": True}
