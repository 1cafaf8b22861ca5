"""Every call of ipfshttpclient that our server offers; run in an environment of its own.

Arguments: multiaddress, folder, its v0 CID, its v1 CID.
"""

import io
import sys
import tempfile
from pathlib import Path

import ipfshttpclient


def main() -> None:
    address, folder, cid_v0, cid_v1 = sys.argv[1:5]
    tree = Path(folder)
    client = ipfshttpclient.connect(address)

    assert client.add(tree, recursive=True)[-1]["Hash"] == cid_v0
    added = client.add(tree, recursive=True, cid_version=1, raw_leaves=True)
    assert added[-1]["Hash"] == cid_v1 and added[-1]["Name"] == tree.name

    config = tree / "config.json"
    file = client.add(config, cid_version=1, raw_leaves=True)["Hash"]
    assert client.cat(file) == config.read_bytes()
    assert client.cat(f"{cid_v1}/config.json", offset=2, length=3) == config.read_bytes()[2:5]
    text = client.add_bytes(b"hi")
    assert client.cat(text) == b"hi"
    assert client.cat(client.add_json({"a": 1})) == b'{"a":1}'

    (listing,) = client.ls(cid_v1)["Objects"]
    assert {link["Name"] for link in listing["Links"]} == {path.name for path in tree.iterdir()}

    client.pin.rm(text)
    assert text not in client.pin.ls(type="recursive")["Keys"]
    client.pin.add(text)
    assert text in client.pin.ls(type="recursive")["Keys"]

    block = client.block.put(io.BytesIO(b"hello block"))
    assert client.block.get(block["Key"]) == b"hello block"
    assert client.block.stat(block["Key"])["Size"] == len(b"hello block")
    with tempfile.TemporaryDirectory() as target:
        client.get(cid_v1, target=target)
        copied = Path(target) / cid_v1 / "config.json"
        assert copied.read_bytes() == config.read_bytes()

    assert len(client.dag.export(cid_v1)) > 0
    assert client.id()["ID"]
    assert client.version()["Version"]
    assert not client.swarm.peers()["Peers"]
    assert client.repo.stat()["NumObjects"] > 0
    assert client.repo.gc() is not None
    print("all calls ok")


if __name__ == "__main__":
    main()
