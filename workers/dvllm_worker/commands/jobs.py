"""`worker jobs`: what the journal remembers."""

from typing import Any

import click
from sqlalchemy import Connection, select

from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.process.commands import Result
from dvllm_worker.commands._shared import node_command
from dvllm_worker.journal.row_codec import row_of
from dvllm_worker.journal.tables import COMPONENT, SCHEMA_VERSION, job, metadata
from dvllm_worker.pipeline.rows import JobRow
from dvllm_worker.settings import WorkerSettings


def _say(result: Result) -> str:
    if not result["jobs"]:
        return "no jobs yet"
    return "\n".join(_line(entry) for entry in result["jobs"])


@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@node_command(
    name="jobs",
    say=_say,
    help_text="""Show the last jobs of this node, newest first; also while the worker runs.

    \b
    Example:
      worker jobs --limit 100 --json
    """,
)
async def command(settings: WorkerSettings, limit: int) -> Result:
    def newest(connection: Connection) -> list[JobRow]:
        query = select(job).order_by(job.c.updated_s.desc()).limit(limit)
        return [row_of(columns) for columns in connection.execute(query)]

    async with Database(settings.database_path) as database:
        await database.add_tables(COMPONENT, SCHEMA_VERSION, metadata)
        return {"jobs": [_entry(row) for row in await database.transaction(newest)]}


def _entry(row: JobRow) -> dict[str, Any]:
    return {
        "job_id": str(row.job_id),
        "chain_id": row.key.chain_id,
        "stage": row.stage.value,
        "model_id": row.request.model_id,
        "requester": row.request.controller,
        "prompt_cid": row.request.prompt_cid,
        "response_cid": row.response_cid,
        "prompt_tokens": row.usage.n_prompt_tokens if row.usage else None,
        "output_tokens": row.usage.n_output_tokens if row.usage else None,
        "tx_hash": row.tx_hash,
        "failure": row.failure.name.lower() if row.failure is not None else None,
        "reason": row.reason or None,
        "updated_s": row.updated_s,
    }


def _line(entry: dict[str, Any]) -> str:
    tokens = f"{entry['output_tokens']} tokens" if entry["output_tokens"] is not None else ""
    end = entry["reason"] or entry["response_cid"] or ""
    return (
        f"{entry['job_id']:>8}  {entry['stage']:<10}  {entry['model_id']:<24}  {tokens:<12}  {end}"
    )
