"""What `dvllm upload-model` does."""

from dataclasses import replace
from typing import Any

from rich.console import Console

from decentralized_vllm.cli.opening import opened
from decentralized_vllm.cli.output import show
from decentralized_vllm.cli.running import run
from decentralized_vllm.protocol.amounts import wei_of
from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.units import WEI_PER_GWEI

_PRICES = {
    "max_fee": "max_fee_gwei",
    "flat_fee": "flat_fee_gwei",
    "input_price": "input_price_gwei",
    "output_price": "output_price_gwei",
}
_LIMITS = {
    "lease": "lease_s",
    "open_s": "open_s",
    "max_input_tokens": "max_input_tokens",
    "max_output_tokens": "max_output_tokens",
}


def publish_and_show(path: str, *, as_json: bool, options: dict[str, Any]) -> None:
    names = {name: options.pop(name) for name in ("model_id", "name", "description")}
    wishes = {name: options.pop(name) for name in (*_PRICES, *_LIMITS)}

    async def work() -> str:
        changes = terms_changes(wishes)
        async with opened(options) as client:
            terms = replace(await client.default_terms(), **changes) if changes else None
            with Console(stderr=True).status(f"adding {path}") as status:

                def progress(done_bytes: int, _: int | None) -> None:
                    status.update(f"adding {path}: {done_bytes / 1e6:.0f} MB")

                return await client.upload_model(path, **names, terms=terms, progress=progress)

    model_id = run(work(), as_json=as_json)
    show({"model_id": model_id}, [model_id], as_json=as_json)


def terms_changes(wishes: dict[str, Any]) -> dict[str, int]:
    """Fields of Terms. Raises SettingError for an amount that is finer than a gwei."""
    changes = {_LIMITS[name]: int(wishes[name]) for name in _LIMITS if wishes[name] is not None}
    for name, field in _PRICES.items():
        if wishes[name] is not None:
            gwei, rest = divmod(wei_of(wishes[name], name), WEI_PER_GWEI)
            if rest:
                raise SettingError(name, f"{wishes[name]} has more than 9 decimals")
            changes[field] = gwei
    return changes
