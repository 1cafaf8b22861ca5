"""The journal's tables. Job numbers are text: they are 256 bits wide."""

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, MetaData, String, Table

from decentralized_vllm.chain.store.schema import UPGRADES

COMPONENT = "journal"
SCHEMA_VERSION = 2

metadata = MetaData()

job = Table(
    "worker_job",
    metadata,
    Column("chain_id", Integer, primary_key=True),
    Column("coordinator", String(42), primary_key=True),
    Column("job_id", String(78), primary_key=True),
    Column("digest", LargeBinary(32), primary_key=True),
    # what was asked, as the request's event told it
    Column("requester", String(42), nullable=False),
    Column("prompt_cid", String(128), nullable=False),
    Column("model_id", String(256), nullable=False),
    Column("model_cid", String(128), nullable=False),
    Column("block_number", Integer, nullable=False),
    Column("block_hash", String(66), nullable=False),
    Column("request_tx", String(66), nullable=False),
    Column("log_index", Integer, nullable=False),
    # how far it got
    Column("stage", String(12), nullable=False),
    Column("until_s", Integer, nullable=False),
    Column("as_of_block", Integer, nullable=False),
    Column("as_of_log", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("response_cid", String(128), nullable=True),
    Column("n_prompt_tokens", Integer, nullable=True),
    Column("n_output_tokens", Integer, nullable=True),
    Column("tx_hash", String(66), nullable=True),
    Column("failure", Integer, nullable=True),
    Column("reason", String(500), nullable=False),
    Column("updated_s", Float, nullable=False),
    Index("worker_job_by_stage", "stage", "updated_s"),
)

# Answers that are not published yet: one commit makes an answer and its row durable.
answer = Table(
    "worker_answer",
    metadata,
    Column("cid", String(128), primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

metadata.info[UPGRADES] = {
    2: ("CREATE TABLE worker_answer (cid VARCHAR(128) PRIMARY KEY, document BLOB NOT NULL)",),
}
