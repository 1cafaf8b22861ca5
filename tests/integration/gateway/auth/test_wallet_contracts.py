"""Contract wallets on a real chain: EIP-1271, EIP-6492, and contracts that mean harm."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.signatures import digest_of
from dvllm_gateway.errors import NetworkUnavailable
from dvllm_gateway.market.wallet_contracts import ContractWallets
from tests.support.anvil import Anvil, development_account, running_anvil
from tests.support.contract_wallets import (
    FACTORY,
    IDENTITY_PRECOMPILE,
    INVALID,
    LOOP_FOR_EVER,
    RETURN_MAGIC_AND_MORE,
    RETURN_ONE,
    REVERT_WITH_MAGIC,
    UNDEPLOYED_SUFFIX,
    Undeployed,
    deploy,
    new_wallet_address,
    owned_by,
    put_code,
    sign,
)

OWNER = Account.from_key("0x" + "31" * 32)
STRANGER = Account.from_key("0x" + "32" * 32)
MESSAGE = encode_defunct(text="a request")
DIGEST = digest_of(MESSAGE)
SIGNATURE = sign(OWNER, MESSAGE)
WALLET_CODE = owned_by(Address(OWNER.address))


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with running_anvil() as anvil:
        yield anvil


@pytest.fixture
async def contracts(anvil: Anvil) -> AsyncIterator[ContractWallets]:
    async with Rpc([anvil.url]) as rpc:
        yield ContractWallets(rpc)


async def test_accepts__wallet_whose_owner_signed__true(
    anvil: Anvil, contracts: ContractWallets
) -> None:
    wallet = put_code(anvil, new_wallet_address(), WALLET_CODE)
    assert await contracts.accepts(wallet, DIGEST, SIGNATURE)


async def test_accepts__other_signer_or_other_message__false(
    anvil: Anvil, contracts: ContractWallets
) -> None:
    wallet = put_code(anvil, new_wallet_address(), WALLET_CODE)
    assert not await contracts.accepts(wallet, DIGEST, sign(STRANGER, MESSAGE))
    assert not await contracts.accepts(wallet, bytes(32), SIGNATURE)
    assert not await contracts.accepts(wallet, DIGEST, b"")


async def test_accepts__address_without_code__false(contracts: ContractWallets) -> None:
    assert not await contracts.accepts(Address(OWNER.address), DIGEST, SIGNATURE)


@pytest.mark.parametrize(
    "code",
    [LOOP_FOR_EVER, REVERT_WITH_MAGIC, RETURN_MAGIC_AND_MORE, RETURN_ONE, INVALID],
    ids=["loops", "reverts", "more", "one", "invalid"],
)
async def test_accepts__contract_that_does_not_say_yes__false(
    anvil: Anvil, contracts: ContractWallets, code: bytes
) -> None:
    wallet = put_code(anvil, new_wallet_address(), code)
    assert not await contracts.accepts(wallet, DIGEST, SIGNATURE)


async def test_accepts__precompile_that_echoes_the_question__false(
    contracts: ContractWallets,
) -> None:
    assert not await contracts.accepts(IDENTITY_PRECOMPILE, DIGEST, SIGNATURE)
    assert not await contracts.accepts(
        IDENTITY_PRECOMPILE, DIGEST, Undeployed.of(WALLET_CODE).wrap(SIGNATURE)
    )


async def test_accepts__undeployed_wallet__asked_as_if_it_were_there_and_nothing_stays(
    anvil: Anvil, contracts: ContractWallets
) -> None:
    wallet = Undeployed.of(WALLET_CODE, salt=b"\x01" * 32)
    assert await contracts.accepts(wallet.address, DIGEST, wallet.wrap(SIGNATURE))
    assert anvil.call("eth_getCode", wallet.address, "latest") == "0x"
    assert not await contracts.accepts(wallet.address, DIGEST, SIGNATURE)


async def test_accepts__undeployed_wallet_with_a_signature_of_another__false(
    contracts: ContractWallets,
) -> None:
    wallet = Undeployed.of(WALLET_CODE, salt=b"\x02" * 32)
    signature = wallet.wrap(sign(STRANGER, MESSAGE))
    assert not await contracts.accepts(wallet.address, DIGEST, signature)


async def test_accepts__deployment_that_lands_elsewhere__false(contracts: ContractWallets) -> None:
    """Who names a victim's address can not put own code there."""
    own = Undeployed.of(owned_by(Address(STRANGER.address)))
    signature = own.wrap(sign(STRANGER, MESSAGE))
    assert not await contracts.accepts(Address(OWNER.address), DIGEST, signature)


@pytest.mark.parametrize("code", [LOOP_FOR_EVER, REVERT_WITH_MAGIC, RETURN_MAGIC_AND_MORE, INVALID])
async def test_accepts__undeployed_contract_that_does_not_say_yes__false(
    contracts: ContractWallets, code: bytes
) -> None:
    wallet = Undeployed.of(code)
    assert not await contracts.accepts(wallet.address, DIGEST, wallet.wrap(SIGNATURE))


async def test_accepts__factory_that_loops__false(anvil: Anvil, contracts: ContractWallets) -> None:
    factory = put_code(anvil, new_wallet_address(), LOOP_FOR_EVER)
    wallet = Undeployed.of(WALLET_CODE, salt=b"\x03" * 32)
    assert not await contracts.accepts(wallet.address, DIGEST, wallet.wrap(SIGNATURE, factory))


async def test_accepts__wrapped_signature_of_a_deployed_wallet__unwrapped(
    anvil: Anvil, contracts: ContractWallets
) -> None:
    wallet = Undeployed.of(WALLET_CODE, salt=b"\x04" * 32)
    deploy(anvil, wallet, Address(development_account(0).address))
    assert anvil.call("eth_getCode", wallet.address, "latest") == "0x" + WALLET_CODE.hex()
    assert await contracts.accepts(wallet.address, DIGEST, wallet.wrap(SIGNATURE))
    assert await contracts.accepts(wallet.address, DIGEST, SIGNATURE)


@pytest.mark.parametrize("content", [b"", b"\xff" * 96, bytes(31), b"\x01" * 1000])
async def test_accepts__wrapping_that_does_not_decode__false(
    contracts: ContractWallets, content: bytes
) -> None:
    address = Address(OWNER.address)
    assert not await contracts.accepts(address, DIGEST, content + UNDEPLOYED_SUFFIX)


async def test_accepts__chain_away__says_so_and_does_not_refuse_the_wallet() -> None:
    with ExitStack() as chain:
        anvil = chain.enter_context(running_anvil())
        async with Rpc([anvil.url], attempts=1, timeout_s=1.0) as rpc:
            contracts = ContractWallets(rpc)
            wallet = put_code(anvil, new_wallet_address(), WALLET_CODE)
            assert await contracts.accepts(wallet, DIGEST, SIGNATURE)
            chain.close()
            with pytest.raises(NetworkUnavailable):
                await contracts.accepts(wallet, DIGEST, SIGNATURE)


async def test_accepts__no_answer_in_time__says_so(anvil: Anvil) -> None:
    async with Rpc([anvil.url]) as rpc:
        with pytest.raises(NetworkUnavailable):
            await ContractWallets(rpc, timeout_s=0.0).accepts(FACTORY, DIGEST, SIGNATURE)


async def test_accepts__endpoint_that_refuses_to_answer_so_often__says_so(
    anvil: Anvil, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> object:
        raise RpcError(429, "too many requests")

    async with Rpc([anvil.url], attempts=1) as rpc:
        monkeypatch.setattr(rpc, "call", refuse)
        with pytest.raises(NetworkUnavailable):
            await ContractWallets(rpc).accepts(FACTORY, DIGEST, SIGNATURE)
