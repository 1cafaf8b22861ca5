import json

import pytest

from dvllm_devnet.manifest import (
    AccountEntry,
    ContractAddresses,
    GatewayEntry,
    Manifest,
    ModelEntry,
    read_manifest,
    remove_manifest,
    write_manifest,
)


@pytest.fixture
def manifest():
    return Manifest(
        rpc_url="http://127.0.0.1:1",
        ws_url="ws://127.0.0.1:1",
        chain_id=31337,
        contracts=ContractAddresses(
            coordinator="0x01", model_registry="0x02", node_registry="0x03", token="0x04"
        ),
        ipfs_api="http://127.0.0.1:2",
        ipfs_gateway="http://127.0.0.1:3",
        accounts=(AccountEntry(name="requester", address="0x05", private_key="0x06"),),
        models=(ModelEntry(id="m", cid="Qm", name="M"),),
        gateway=GatewayEntry(url="http://a", dvllm_url="http://b", dvllm_ws_url="ws://c"),
        api_key="dvk_x",
    )


def test_write__then_plain_json__has_the_documented_fields_only(manifest, tmp_path):
    write_manifest(manifest, tmp_path / "devnet.json")
    fields = json.loads((tmp_path / "devnet.json").read_text())
    assert list(fields) == [
        "rpc_url",
        "ws_url",
        "chain_id",
        "contracts",
        "ipfs_api",
        "ipfs_gateway",
        "accounts",
        "models",
        "gateway",
        "api_key",
    ]
    assert list(fields["contracts"]) == ["coordinator", "model_registry", "node_registry", "token"]
    assert list(fields["accounts"][0]) == ["name", "address", "private_key"]
    assert list(fields["models"][0]) == ["id", "cid", "name"]
    assert list(fields["gateway"]) == ["url", "dvllm_url", "dvllm_ws_url"]


def test_write__then_read__is_equal_and_leaves_no_draft(manifest, tmp_path):
    path = tmp_path / "devnet.json"
    write_manifest(manifest, path)
    assert read_manifest(path) == manifest
    assert list(tmp_path.iterdir()) == [path]


def test_remove__twice__is_no_error(manifest, tmp_path):
    path = tmp_path / "devnet.json"
    write_manifest(manifest, path)
    remove_manifest(path)
    remove_manifest(path)
    assert not path.exists()
