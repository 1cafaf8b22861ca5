"""`gateway doctor`: what is missing, each with the mend."""

from decentralized_vllm.process.checks import report, say_report
from decentralized_vllm.process.commands import Result
from dvllm_gateway.commands._shared import gateway_command
from dvllm_gateway.doctor import examine_all
from dvllm_gateway.settings import GatewaySettings


@gateway_command(
    name="doctor",
    say=say_report,
    help_text="""Check disk, ports, database, chain, content and key; say how to mend what is wrong.

    \b
    Example:
      gateway doctor --config /etc/dvllm/gateway.toml
    """,
)
async def doctor(settings: GatewaySettings) -> Result:
    return report(await examine_all(settings))
