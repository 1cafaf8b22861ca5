"""`worker doctor`: what is missing, each with the mend."""

from dvllm_worker.commands._shared import Result, node_command
from dvllm_worker.doctor import examine_all
from dvllm_worker.settings import WorkerSettings

MARKS = {True: "ok  ", False: "FAIL"}


def _say(result: Result) -> str:
    lines = []
    for check in result["checks"]:
        lines.append(f"{MARKS[check['is_ok']]}  {check['name']:<10}  {check['finding']}")
        lines += [f"      -> {mend}" for mend in check["mends"]]
    return "\n".join(lines)


@node_command(
    name="doctor",
    say=_say,
    help_text="""Check disk, engine, chain, key, stake and models; say how to mend what is wrong.

    \b
    Example:
      worker doctor
    """,
)
async def command(settings: WorkerSettings) -> Result:
    checks = await examine_all(settings)
    return {
        "is_ok": all(check.is_ok for check in checks),
        "checks": [
            {
                "name": check.name,
                "is_ok": check.is_ok,
                "finding": check.finding,
                "mends": list(check.mends),
            }
            for check in checks
        ],
    }
