"""The library's own names of settings, as who sets them in a program's sections writes them."""

from collections.abc import Mapping

from decentralized_vllm.process.settings_files import ChainSection, KeySection
from decentralized_vllm.protocol.errors import DvllmError, KeyInUse

_ANY_KEY = "key"  # it came from a keystore, or is raw
_NAMES = {
    **{name: f"chain.{name}" for name in ChainSection.model_fields},
    **{name: f"key.{name}" for name in KeySection.model_fields},
    "passphrase": "key.passphrase_file",
    "ipfs_host": "content.ipfs_host",
}


def message_by_sections(error: DvllmError, own_names: Mapping[str, str] | None = None) -> str:
    """The error's message, with `chain.contract_address` for what the library, which has no
    sections, calls `contract_address`. `own_names` are those of one program, and go first."""
    name, colon, told = error.message.partition(": ")
    names = {**_NAMES, **(own_names or {})}
    if not colon or name not in names:
        return error.message
    is_any_key = isinstance(error, KeyInUse) and name == "private_key"
    return f"{_ANY_KEY if is_any_key else names[name]}: {told}"
