"""An address that somebody typed: one wrong letter must not send money to nobody."""

import pytest

from decentralized_vllm.chain.verification import checked_address
from decentralized_vllm.protocol.errors import SettingError

ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@pytest.mark.parametrize("text", [ADDRESS, ADDRESS.lower(), "0x" + ADDRESS[2:].upper()])
def test_address__in_any_known_form__is_taken(text: str) -> None:
    assert checked_address("payout", text) == ADDRESS


@pytest.mark.parametrize(
    "text",
    [
        ADDRESS.replace("C8", "c8"),
        ADDRESS.replace("0x7099", "0x7098"),
        ADDRESS[:-1],
        ADDRESS[:-1] + "g",
        "",
        "0x",
    ],
)
def test_address__with_a_slip__is_refused_by_its_setting(text: str) -> None:
    with pytest.raises(SettingError, match=r"payout: .* is not an address"):
        checked_address("payout", text)
