"""Starting, stopping and examining a gateway, as its operator meets it."""

import asyncio
import json
import socket

import aiohttp
import pytest

from tests.support.anvil import development_account
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.waiting import wait_until
from tests.support.worker_network import WorkerNetwork


async def answer_of(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def ready(gateway: GatewayProcess) -> None:
    async with asyncio.timeout(60):
        while (await answer_of(f"{gateway.admin_url}/readyz"))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def test_doctor__before_the_first_start__finds_all_in_order(net: WorkerNetwork) -> None:
    with gateway_process(net) as gateway:
        done = await asyncio.to_thread(gateway.run, "doctor", "--json")

    report = json.loads(done.stdout)
    assert report["is_ok"], report
    assert done.returncode == 0
    assert [check["name"] for check in report["checks"]] == [
        "disk",
        "ports",
        "database",
        "secret",
        "content",
        "chain",
        "key",
    ]


async def test_doctor__of_a_poor_gateway_on_taken_ports__says_how_to_mend_it(
    net: WorkerNetwork,
) -> None:
    with gateway_process(net, key=development_account(9), content={"ipfs_port": 1}) as gateway:
        port = gateway.sections["listen"]["dvllm_port"]
        with socket.create_server(("127.0.0.1", port)):
            done = await asyncio.to_thread(gateway.run, "doctor")

    taken = f"FAIL  ports       listen.dvllm_port: 127.0.0.1:{port} is taken by another program"
    assert taken in done.stdout
    assert done.returncode == 1
    assert "FAIL  content" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


async def test_doctor__while_its_gateway_runs__finds_nothing_wrong(
    gateway: GatewayProcess,
) -> None:
    done = await asyncio.to_thread(gateway.run, "doctor")

    assert "a gateway listens there now" in done.stdout
    assert (done.returncode, "FAIL" in done.stdout) == (0, False), done.stdout


async def test_start__on_a_taken_port__says_which_setting(net: WorkerNetwork) -> None:
    with gateway_process(net) as gateway:
        port = gateway.sections["listen"]["unified_port"]
        with socket.create_server(("127.0.0.1", port)):
            gateway.start()
            assert await gateway.ended() == 1

    text = gateway.log_text()
    assert f"127.0.0.1:{port} is taken" in text and "listen.unified_port" in text
    assert "Traceback" not in text


async def test_start__without_a_chain__says_so(net: WorkerNetwork) -> None:
    with gateway_process(net, chain={"eth_node_url": ["http://127.0.0.1:9"]}) as gateway:
        gateway.start()
        assert await gateway.ended() == 1

    assert "Traceback" not in gateway.log_text()


async def test_stop__while_it_starts_and_the_chain_says_nothing__waits_for_no_answer(
    net: WorkerNetwork,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        chain = {"eth_node_url": [f"http://127.0.0.1:{silent.getsockname()[1]}"]}
        with gateway_process(net, chain=chain) as gateway:
            gateway.start()
            asking, _ = await asyncio.to_thread(silent.accept)  # and gets no answer
            with asking:
                gateway.terminate()
                assert await gateway.ended() == 0
            assert '"stopped"' in gateway.log_text()


async def test_stop__with_sockets_and_a_hanging_request__is_in_time(
    gateway: GatewayProcess,
) -> None:
    port = gateway.sections["listen"]["dvllm_port"]
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(gateway.dvllm_ws_url) as events,
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /api/status HTTP/1.1\r\nHost: x\r\n")  # and never the rest
        await writer.drain()
        gateway.terminate()
        closed = await events.receive(timeout=10)

        assert closed.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert events.close_code == 1001
    assert await gateway.ended(patience_s=15) == 0
    writer.close()


async def test_stop__asked_for_twice__is_at_once(
    net: WorkerNetwork, gateway: GatewayProcess
) -> None:
    with net.worker() as worker:
        await net.enlist(worker)  # and never started: it answers nothing
    key = await gateway.make_key("alice", credit="5")
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        chat = {
            "model": "tiny",
            "messages": [{"role": "user", "content": "nobody answers this"}],
            "max_tokens": 4,
        }
        asking = asyncio.create_task(
            session.post(f"{gateway.unified_url}/v1/chat/completions", json=chat)
        )
        await gateway.has_open_tasks(1)
        gateway.terminate()
        await wait_until(lambda: '"draining"' in gateway.log_text(), what="the drain")
        gateway.terminate()

        assert await gateway.ended(patience_s=8) == 0
        await asyncio.gather(asking, return_exceptions=True)


async def test_second_gateway__with_the_same_key__waits_for_its_turn(
    net: WorkerNetwork, gateway: GatewayProcess
) -> None:
    database = gateway.folder / "data" / "gateway.sqlite"
    with gateway_process(net, name="second", top={"database": str(database)}) as second:
        second.start()
        await wait_until(lambda: '"listening"' in second.log_text(), what="the second gateway")
        # This waits for the registry: before it was read, that is why it is not ready.
        assert (await answer_of(f"{second.dvllm_url}/api/models"))[0] == 200
        status, text = await answer_of(f"{second.admin_url}/readyz")
        assert status == 503 and "key" in text

        gateway.kill()
        await ready(second)


@pytest.mark.parametrize("command", [("keys", "list", "--account", "x"), ("accounts", "list")])
async def test_commands__with_a_wrong_setting__name_it(
    net: WorkerNetwork, command: tuple[str, ...]
) -> None:
    with gateway_process(net) as gateway:
        done = await asyncio.to_thread(gateway.run, *command)
        assert done.returncode == 0, done.stderr
        gateway.sections["listen"]["unified_port"] = 70_000  # type: ignore[index]
        done = await asyncio.to_thread(gateway.run, *command)

    assert done.returncode == 1
    assert "listen.unified_port" in done.stderr
    assert "Traceback" not in done.stderr
