"""The payment token: ERC-20 with EIP-2612 and EIP-3009, and the faucet that local chains have."""

from decentralized_vllm.chain.codec import contract_abi
from decentralized_vllm.chain.contracts.reader import ContractReader
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.protocol.authorizations import AuthorizationKind, SignedAuthorization
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.permits import SignedPermit, TokenDomain
from decentralized_vllm.protocol.transactions import Call

_SIGNED_TRANSFER = "(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"
_AUTHORIZED = {
    AuthorizationKind.RECEIVE: f"receiveWithAuthorization{_SIGNED_TRANSFER}",
    AuthorizationKind.TRANSFER: f"transferWithAuthorization{_SIGNED_TRANSFER}",
}


class Token:
    """Raises ChainUnavailable and AbiMismatch."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        self.address = address
        self._contract = ContractReader(rpc, contract_abi("NetworkToken"), address)

    async def balance(self, account: Address) -> Wei:
        return Wei((await self._contract.read("balanceOf(address)", account))[0])

    async def allowance(self, owner: Address, spender: Address) -> Wei:
        return Wei((await self._contract.read("allowance(address,address)", owner, spender))[0])

    async def permit_nonce(self, owner: Address) -> int:
        return int((await self._contract.read("nonces(address)", owner))[0])

    async def symbol(self) -> str:
        return str((await self._contract.read("symbol()"))[0])

    async def domain(self) -> TokenDomain:
        """EIP-5267. A chain id or contract other than ours would make a permit worthless."""
        answer = await self._contract.read("eip712Domain()")
        _, name, version, chain_id, contract, _, _ = answer
        return TokenDomain(name=name, version=version, chain_id=chain_id, token=contract)

    def transfer(self, to: Address, amount_wei: Wei) -> Call:
        return self._contract.call(
            "transfer(address,uint256)", to, amount_wei, label="transfer tokens"
        )

    def approve(self, spender: Address, amount_wei: Wei) -> Call:
        return self._contract.call(
            "approve(address,uint256)", spender, amount_wei, label="approve spending"
        )

    def transfer_from(self, owner: Address, to: Address, amount_wei: Wei) -> Call:
        """Out of what the owner approved or permitted to the sender of this call."""
        return self._contract.call(
            "transferFrom(address,address,uint256)",
            owner,
            to,
            amount_wei,
            label="transfer permitted tokens",
        )

    def permit(self, owner: Address, spender: Address, permit: SignedPermit) -> Call:
        return self._contract.call(
            "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
            owner,
            spender,
            *permit.arguments,
            label="permit spending",
        )

    def transfer_authorized(self, signed: SignedAuthorization) -> Call:
        """A RECEIVE reverts with CallerIsNotPayee unless its payee sends it."""
        what = signed.authorization
        return self._contract.call(
            _AUTHORIZED[what.kind],
            what.owner,
            what.to,
            what.value_wei,
            what.valid_after_s,
            what.valid_before_s,
            what.nonce,
            signed.v,
            signed.r,
            signed.s,
            label="transfer authorized tokens",
        )

    def faucet(self, to: Address, amount_wei: Wei) -> Call:
        """Reverts with NotALocalChain elsewhere."""
        return self._contract.call(
            "faucet(address,uint256)", to, amount_wei, label="draw test tokens"
        )
