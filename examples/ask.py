"""Asks one question on a running local network (`make devnet`) and tells what it cost.

python examples/ask.py "What is artificial intelligence?"
"""

import json
import sys
from pathlib import Path

from decentralized_vllm import Client, JobEnded

MANIFEST = Path(".devnet/devnet.json")
if not MANIFEST.exists():
    sys.exit("no local network runs in this folder: start one with `make devnet`")
network = json.loads(MANIFEST.read_text())
requester = next(a for a in network["accounts"] if a["name"] == "requester")
ipfs_port = int(network["ipfs_api"].rpartition(":")[2])

with Client(
    eth_node_url=network["rpc_url"],
    contract_address=network["contracts"]["coordinator"],
    private_key=requester["private_key"],
    ipfs_host="127.0.0.1",
    ipfs_port=ipfs_port,
) as client:
    model = client.list_models()[0]
    task = client.submit_task(" ".join(sys.argv[1:]) or "Hello?", model.id, max_tokens=60)
    try:
        answer = client.wait_for_completion(task, timeout=300)
    except JobEnded as end:
        sys.exit(f"{end}; {end.refund_wei} wei came back")

print(answer.response)
print(f"{answer.usage.n_output_tokens} tokens by {answer.worker} for {answer.price_wei} wei")
