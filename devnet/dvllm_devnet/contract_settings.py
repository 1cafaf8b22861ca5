"""What the local network's contracts are born with, out of `devnet.toml`."""

from decentralized_vllm.protocol.deployment_plan import LOCAL_BOUNDS, NetworkSettings
from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.nodes import Clocks
from decentralized_vllm.protocol.units import WEI_PER_GWEI, tokens
from dvllm_devnet.settings import DevnetSettings

_SUPPLY = tokens(10**9)


def network_settings(settings: DevnetSettings, owner: Address) -> NetworkSettings:
    """The owner is the treasury too. Raises SettingError for an amount finer than a gwei."""
    market = settings.market
    return NetworkSettings(
        owner=owner,
        treasury=owner,
        clocks=_clocks(settings),
        announce_delay_s=settings.clocks.announce_delay_s,
        fee_bps=market.fee_bps,
        stake_unit_wei=Wei(market.stake_unit),
        publisher_bond_wei=Wei(market.publisher_bond),
        no_show_reward_cap_wei=Wei(market.no_show_reward_cap),
        bounds=LOCAL_BOUNDS,
        default_terms=model_terms(settings),
        supply_wei=_SUPPLY,
    )


def model_terms(settings: DevnetSettings) -> Terms:
    terms, clocks = settings.terms, settings.clocks
    return Terms(
        input_price_gwei=_gwei("terms.input_price", terms.input_price),
        output_price_gwei=_gwei("terms.output_price", terms.output_price),
        flat_fee_gwei=_gwei("terms.flat_fee", terms.flat_fee),
        max_fee_gwei=_gwei("terms.max_fee", terms.max_fee),
        lease_s=clocks.lease_s,
        open_s=clocks.open_s,
        max_input_tokens=terms.max_input_tokens,
        max_output_tokens=terms.max_output_tokens,
    )


def _clocks(settings: DevnetSettings) -> Clocks:
    clocks = settings.clocks
    return Clocks(
        grace_s=clocks.grace_s,
        epoch_s=clocks.epoch_s,
        cool_down_s=clocks.cool_down_s,
        max_attempts=clocks.max_attempts,
    )


def _gwei(setting: str, amount_wei: int) -> int:
    amount_gwei, rest = divmod(amount_wei, WEI_PER_GWEI)
    if rest:
        raise SettingError(setting, "has more than nine decimals, which terms do not have")
    return amount_gwei
