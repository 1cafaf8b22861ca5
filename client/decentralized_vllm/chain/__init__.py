"""The chain as the library sees it: contracts, events, and the one sender of a key's transactions.

Plain JSON-RPC over aiohttp with eth-abi and eth-account, the parts web3.py itself stands on.
web3's HTTP provider opens a connection for every request and its import costs 60 MB.
"""
