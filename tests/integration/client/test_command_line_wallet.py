"""`dvllm wallet`: keys and money, against real contracts."""

import asyncio
import json
import os
import pty
import subprocess

import pytest

from tests.support.client_market import ASKER
from tests.support.command_line import DVLLM
from tests.support.local_network import NODE, OWNER, REQUESTER


async def test_wallet__money__moves_in_and_out(dvllm):
    code, out, _ = await dvllm("wallet", "deposit", "5", "--json")
    assert (code, json.loads(out)["credit_wei"]) == (0, str(5 * 10**18))
    code, out, _ = await dvllm("wallet", "withdraw", "1.5", "--json")
    assert (code, json.loads(out)["credit_wei"]) == (0, str(35 * 10**17))
    await dvllm("wallet", "faucet", "7")
    code, out, _ = await dvllm("wallet", "balance")
    assert out.splitlines()[:3] == [
        f"account  {ASKER.address}",
        "credit   3.5 tokens",
        "wallet   53.5 tokens",
    ]


async def test_wallet__new_import_show__keep_a_key_behind_a_passphrase(dvllm, tmp_path):
    (tmp_path / "passphrase").write_text("correct horse\n")
    (tmp_path / "key").write_text("0x" + "33" * 32)
    place = ["--keystore", str(tmp_path / "key.json")]
    secret = ["--passphrase-file", str(tmp_path / "passphrase")]
    code, out, _ = await dvllm(
        "wallet", "import", "--key-file", str(tmp_path / "key"), *place, *secret, "--json"
    )
    address = json.loads(out)["address"]
    assert code == 0
    assert (await dvllm("wallet", "show", *place))[1].startswith(address)
    code, out, _ = await dvllm(
        "wallet", "balance", "--json", *place, *secret, DVLLM_CLIENT__PRIVATE_KEY=""
    )
    assert (code, json.loads(out)["account"]) == (0, address)
    code, _, err = await dvllm("wallet", "new", *place, *secret)
    assert code == 2
    assert "exists already" in err


async def test_wallet__nobody_to_ask_for_the_passphrase__names_the_setting(environment, tmp_path):
    process = await asyncio.create_subprocess_exec(
        *DVLLM,
        *("wallet", "new", "--json", "--keystore", str(tmp_path / "key.json")),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # without a terminal
    )
    out, err = await asyncio.wait_for(process.communicate(), timeout=90)
    assert process.returncode == 2
    assert "no terminal" in json.loads(out)["error"]["message"]
    assert b"[--passphrase-file or DVLLM_CLIENT__PASSPHRASE_FILE]" in err
    assert b"GetPassWarning" not in err


async def test_wallet_send__tokens__arrive(dvllm, market):
    code, out, err = await dvllm("wallet", "send", REQUESTER.address, "1.5", "--json")
    told = json.loads(out)
    assert (code, told["to"], told["sent_wei"]) == (0, REQUESTER.address, str(15 * 10**17)), err
    assert told["wallet_wei"] == str(485 * 10**17)
    assert await market.network.token.balance(REQUESTER.address) == 15 * 10**17
    code, out, _ = await dvllm("wallet", "send", REQUESTER.address.lower(), "0.5", "--yes")
    assert (code, "wallet   48 tokens" in out) == (0, True)
    assert await market.network.token.balance(REQUESTER.address) == 2 * 10**18


REFUSED = [
    (["0x12", "1"], 2, "to: '0x12' is not an address"),
    ([REQUESTER.address.swapcase().replace("0X", "0x"), "1"], 2, "is not an address"),
    (["0x" + "0" * 40, "1"], 2, "to: nobody could move tokens of this address"),
    ([ASKER.address, "1"], 2, "to: this is the wallet's own address"),
    ([REQUESTER.address, "0"], 2, "amount: there is nothing to send"),
    ([REQUESTER.address, "-1"], 2, "No such option"),
    ([REQUESTER.address, "x"], 2, "amount: 'x' is not a decimal amount of tokens"),
    ([REQUESTER.address, "50.1"], 1, "the wallet holds 50 tokens"),
]


async def test_wallet_send__mistakes__move_nothing(dvllm, market):
    network = market.network
    contracts = [network.token, network.coordinator, network.model_registry, network.node_registry]
    lost = [([each.address, "1"], 2, "to: this is a contract of the network") for each in contracts]
    for arguments, code, told in REFUSED + lost:
        found, out, err = await dvllm("wallet", "send", *arguments)
        assert (found, out) == (code, ""), arguments
        assert told in err.splitlines()[-1], arguments
    assert await network.token.balance(ASKER.address) == 50 * 10**18


@pytest.mark.parametrize(("answer", "code", "sent"), [(b"y\n", 0, 1), (b"n\n", 1, 0)])
async def test_wallet_send__on_a_terminal__asks_first(environment, market, answer, code, sent):
    ours, terminal = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(*DVLLM, "wallet", "send", REQUESTER.address, "1"),
        env=environment,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.write(ours, answer)
    await asyncio.wait_for(process.communicate(), timeout=90)
    asked = os.read(ours, 10_000).decode()
    os.close(terminal)
    os.close(ours)
    assert f"send 1 tokens to {REQUESTER.address}?" in asked
    assert process.returncode == code
    assert await market.network.token.balance(REQUESTER.address) == sent * 10**18


async def test_wallet_show__key_that_is_in_no_keystore__is_the_one_that_pays(dvllm, tmp_path):
    code, out, _ = await dvllm("wallet", "show", "--json")
    assert (code, json.loads(out)) == (0, {"address": ASKER.address, "keystore": None})
    network = {
        "rpc_url": "http://127.0.0.1:9",
        "ws_url": "ws://127.0.0.1:9",
        "chain_id": 31337,
        "contracts": {"coordinator": NODE.address},
        "ipfs_api": "http://127.0.0.1:9",
        "accounts": [{"name": "requester", "private_key": "0x" + bytes(OWNER.key).hex()}],
    }
    (tmp_path / ".devnet").mkdir()
    (tmp_path / ".devnet" / "devnet.json").write_text(json.dumps(network))
    code, out, _ = await dvllm(
        "wallet", "show", "--devnet", cwd=tmp_path, DVLLM_CLIENT__PRIVATE_KEY=""
    )
    assert (code, out.splitlines()[0]) == (0, OWNER.address)
