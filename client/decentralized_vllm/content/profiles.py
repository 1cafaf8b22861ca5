"""How bytes become a DAG. The same bytes have another CID under another profile."""

from dataclasses import dataclass

from decentralized_vllm.protocol.errors import SettingError


@dataclass(frozen=True, slots=True)
class ImportProfile:
    """The four choices that decide a CID; the layout is always balanced."""

    name: str
    cid_version: int
    raw_leaves: bool
    chunk_bytes: int
    max_links: int


V0 = ImportProfile("v0", 0, False, 262_144, 174)  # Kubo's classic default
V1 = ImportProfile("v1", 1, True, 262_144, 174)
V1_2025 = ImportProfile("v1-2025", 1, True, 1_048_576, 1024)  # IPIP-499
PROFILES = {profile.name: profile for profile in (V0, V1, V1_2025)}


def profile_named(name: str) -> ImportProfile:
    """Raises SettingError, naming the profiles there are."""
    try:
        return PROFILES[name]
    except KeyError:
        raise SettingError("profile", f"{name!r} is none of {', '.join(PROFILES)}") from None
