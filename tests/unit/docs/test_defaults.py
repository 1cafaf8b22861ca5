"""docs/contracts.md tells what a public network is born with."""

import re
from fractions import Fraction

from decentralized_vllm.protocol.deployment_plan import DAY_S, public_network
from decentralized_vllm.protocol.ids import ZERO_ADDRESS
from tests.unit.docs.pages import ROOT, text_of

BORN = public_network(ZERO_ADDRESS, ZERO_ADDRESS)
GWEI = 10**9
TOKEN = 10**18


def neuro(wei: int) -> str:
    whole = Fraction(wei, TOKEN)
    return f"{int(whole):,}" if whole.denominator == 1 else f"{float(whole):f}".rstrip("0")


def told() -> dict[str, str]:
    rows = re.findall(
        r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \|$", text_of(ROOT / "docs/contracts.md"), re.M
    )
    return {name: default for name, default in rows}


def test_defaults__of_clocks_and_market__are_those_of_the_plan() -> None:
    clocks, page = BORN.clocks, told()
    assert page["grace"] == f"{clocks.grace_s} s"
    assert page["epoch = dispute window"] == f"{clocks.epoch_s // 60} min"
    assert page["cool-down"] == f"{clocks.cool_down_s // DAY_S} days"
    assert page["attempts"] == str(clocks.max_attempts)
    assert page["announce delay"] == f"{BORN.announce_delay_s // DAY_S} day"
    assert page["fee"] == f"{BORN.fee_bps // 100} %"
    assert page["stake unit"] == f"{neuro(BORN.stake_unit_wei)} NEURO"
    assert page["publisher's bond"] == f"{neuro(BORN.publisher_bond_wei)} NEURO"
    cap = page["cap of the caller's part of a no-show"]
    assert cap == f"{neuro(BORN.no_show_reward_cap_wei)} NEURO"


def test_defaults__of_terms__are_those_of_the_plan() -> None:
    terms, bounds, page = BORN.default_terms, BORN.bounds, told()
    highest, lowest, most = (
        neuro(gwei * GWEI)
        for gwei in (terms.max_fee_gwei, bounds.min_max_fee_gwei, bounds.max_max_fee_gwei)
    )
    assert page["maxFee (of a version)"] == f"{highest} NEURO; {lowest} – {most} NEURO"
    assert page["lease, open (of a version)"] == (
        f"{terms.lease_s} s, {terms.open_s} s; "
        f"{bounds.min_lease_s} s – {bounds.max_lease_s // 3600} h"
    )
    flat, read, written = (
        neuro(gwei * GWEI)
        for gwei in (terms.flat_fee_gwei, terms.input_price_gwei, terms.output_price_gwei)
    )
    assert page["prices (of a version)"] == (
        f"flat {flat} NEURO, {read} per input token, {written} per output token; "
        f"{terms.max_input_tokens:,} tokens in, {terms.max_output_tokens:,} out"
    )


def test_supply__of_neuro__is_that_of_the_plan() -> None:
    assert f"NEURO, {neuro(BORN.supply_wei)}, is minted" in text_of(ROOT / "docs/contracts.md")
