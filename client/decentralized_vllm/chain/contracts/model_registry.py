"""ModelRegistry: which models exist, as typed reads, and the calls that announce them."""

from typing import Any

from decentralized_vllm.chain.codec import contract_abi
from decentralized_vllm.chain.contracts.reader import ContractReader
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.protocol.errors import UnknownModel
from decentralized_vllm.protocol.ids import Address, Cid, ModelId
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.models import ModelInfo
from decentralized_vllm.protocol.transactions import Call

PAGE_SIZE = 100

TERMS_TYPE = "(uint40,uint40,uint48,uint48,uint16,uint16,uint24,uint24)"


class ModelRegistry:
    """Raises ChainUnavailable and AbiMismatch."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        self.address = address
        self._contract = ContractReader(rpc, contract_abi("ModelRegistry"), address)

    async def model(self, model_id: ModelId) -> ModelInfo:
        """Raises UnknownModel."""
        fields = (await self._contract.read("getModel(string)", model_id))[0]
        if not fields[0]:
            raise UnknownModel(f"there is no model {model_id!r}")
        return _model_info(model_id, fields)

    async def models(self) -> list[ModelInfo]:
        """All models in the order of registration, page by page."""
        found: list[ModelInfo] = []
        while True:
            ids, infos = await self._contract.read("models(uint256,uint256)", len(found), PAGE_SIZE)
            found += [_model_info(*pair) for pair in zip(ids, infos, strict=True)]
            if len(ids) < PAGE_SIZE:
                return found

    async def model_count(self) -> int:
        return int((await self._contract.read("modelCount()"))[0])

    async def owner(self) -> Address:
        """Who may register models under any free name."""
        return Address((await self._contract.read("owner()"))[0])

    async def publisher(self, model_id: ModelId) -> Address:
        return Address((await self._contract.read("publisherOf(string)", model_id))[0])

    async def default_terms(self) -> Terms:
        return Terms(*(await self._contract.read("defaultTerms()"))[0])

    def register_model(self, info: ModelInfo, terms: Terms | None = None) -> Call:
        """By the owner. Without terms, the deployment's default ones."""
        texts = (info.model_id, info.model_cid, info.name, info.description)
        label = f"register model {info.model_id}"
        if terms is None:
            return self._contract.call(
                "registerModel(string,string,string,string)", *texts, label=label
            )
        signature = f"registerModel(string,string,string,string,{TERMS_TYPE})"
        return self._contract.call(signature, *texts, terms_tuple(terms), label=label)

    def publish_model(self, info: ModelInfo, terms: Terms) -> Call:
        """By anyone whose credit covers the bond; the id is "<lower-case address>/<name>"."""
        return self._contract.call(
            f"publishModel(string,string,string,string,{TERMS_TYPE})",
            info.model_id,
            info.model_cid,
            info.name,
            info.description,
            terms_tuple(terms),
            label=f"publish model {info.model_id}",
        )

    def update_model(self, model_id: ModelId, cid: Cid, terms: Terms | None = None) -> Call:
        """Announces a new version; without terms, with the present ones."""
        label = f"update model {model_id}"
        if terms is None:
            return self._contract.call("updateModel(string,string)", model_id, cid, label=label)
        signature = f"updateModel(string,string,{TERMS_TYPE})"
        return self._contract.call(signature, model_id, cid, terms_tuple(terms), label=label)

    def set_model_active(self, model_id: ModelId, *, is_active: bool) -> Call:
        return self._contract.call(
            "setModelActive(string,bool)",
            model_id,
            is_active,
            label=f"{'activate' if is_active else 'deactivate'} model {model_id}",
        )


def terms_tuple(terms: Terms) -> tuple[int, ...]:
    """In the order of `struct Terms`."""
    return (
        terms.input_price_gwei,
        terms.output_price_gwei,
        terms.flat_fee_gwei,
        terms.max_fee_gwei,
        terms.lease_s,
        terms.open_s,
        terms.max_input_tokens,
        terms.max_output_tokens,
    )


def _model_info(model_id: str, fields: tuple[Any, ...]) -> ModelInfo:
    model_cid, name, description, registered_at_s, is_active = fields
    return ModelInfo(
        model_id=ModelId(model_id),
        model_cid=Cid(model_cid),
        name=name,
        description=description,
        registered_at_s=registered_at_s,
        is_active=is_active,
    )
