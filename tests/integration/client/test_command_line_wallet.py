"""`dvllm wallet`: keys and money, against real contracts."""

import asyncio
import json
import subprocess

from tests.support.client_market import ASKER
from tests.support.command_line import DVLLM


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
