import pytest
from eth_account import Account

from dvllm_devnet.accounts import make_cast


def test_cast__two_workers__has_anvils_first_accounts():
    cast = make_cast(2)
    assert [account.name for account in cast.all] == [
        "deployer",
        "requester",
        "gateway",
        "worker-1",
        "worker-2",
    ]
    assert cast.deployer.address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert cast.workers[1].address == "0x90F79bf6EB2c4f870365E785982E1f101E93b906"


@pytest.mark.parametrize("account", make_cast(3).all, ids=lambda account: account.name)
def test_cast__every_key__is_the_one_of_its_address(account):
    assert Account.from_key(account.private_key).address == account.address
