"""`worker doctor`: what is missing, each with the mend."""

from decentralized_vllm.process.checks import report, say_report
from decentralized_vllm.process.commands import Result
from dvllm_worker.commands._shared import node_command
from dvllm_worker.doctor import examine_all
from dvllm_worker.settings import WorkerSettings


@node_command(
    name="doctor",
    say=say_report,
    help_text="""Check disk, engine, chain, key, stake and models; say how to mend what is wrong.

    \b
    Example:
      worker doctor
    """,
)
async def command(settings: WorkerSettings) -> Result:
    return report(await examine_all(settings))
