"""The payment token: ERC-20 with EIP-2612 permit, and the faucet that local chains have."""

from decentralized_vllm.chain.codec import contract_abi
from decentralized_vllm.chain.contracts.reader import ContractReader
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.permits import TokenDomain
from decentralized_vllm.protocol.transactions import Call


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

    def faucet(self, to: Address, amount_wei: Wei) -> Call:
        """Reverts with NotALocalChain elsewhere."""
        return self._contract.call(
            "faucet(address,uint256)", to, amount_wei, label="draw test tokens"
        )
