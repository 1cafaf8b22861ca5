"""The one user of a local network's gateway: its credit and its API key."""

from decentralized_vllm.protocol.ids import Wei
from dvllm_devnet.gateway_setup import USER, GatewayPlan
from dvllm_gateway.access import api_keys
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.credit import PrepaidCredit
from dvllm_gateway.services.principals import Scope
from dvllm_gateway.settings import load_settings
from dvllm_gateway.state import Database, SqlAccountStore, open_database

ACCOUNT = AccountId(USER)


async def ensure_user(plan: GatewayPlan) -> str:
    """The user's API key. Credit that was spent is filled up. Raises SettingError."""
    settings = load_settings(plan.settings_file, {})
    async with open_database(settings.database_location) as database:
        await _fill_credit(database, plan.settings.credit)
        if not plan.key_file.exists():
            keys = api_keys(settings, database)
            made = await keys.create(ACCOUNT, frozenset(set(Scope) - {Scope.OWNER}))
            plan.key_file.touch(mode=0o600)
            plan.key_file.write_text(made.secret, encoding="ascii")
    return plan.key_file.read_text(encoding="ascii")


async def _fill_credit(database: Database, wanted_wei: int) -> None:
    credit = PrepaidCredit(SqlAccountStore(database))
    balance = await credit.balance(ACCOUNT)
    missing_wei = wanted_wei - balance.available_wei - balance.reserved_wei
    if missing_wei > 0:
        await credit.grant(ACCOUNT, Wei(missing_wei), reason="of the local network")
