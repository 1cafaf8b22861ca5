"""`gateway doctor`: what is missing, each with the mend."""

from dataclasses import asdict

from dvllm_gateway.commands._shared import Result, gateway_command
from dvllm_gateway.doctor import examine_all
from dvllm_gateway.settings import GatewaySettings

MARKS = {True: "ok  ", False: "FAIL"}


def _say(result: Result) -> str:
    lines = []
    for check in result["checks"]:
        lines.append(f"{MARKS[check['is_ok']]}  {check['name']:<10}  {check['finding']}")
        lines += [f"      -> {mend}" for mend in check["mends"]]
    return "\n".join(lines)


@gateway_command(
    name="doctor",
    say=_say,
    help_text="""Check disk, ports, database, chain, content and key; say how to mend what is wrong.

    \b
    Example:
      gateway doctor --config /etc/dvllm/gateway.toml
    """,
)
async def doctor(settings: GatewaySettings) -> Result:
    checks = await examine_all(settings)
    return {
        "is_ok": all(check.is_ok for check in checks),
        "checks": [asdict(check) for check in checks],
    }
