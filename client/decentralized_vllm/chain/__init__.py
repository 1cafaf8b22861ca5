"""The chain as the library sees it: contracts, events, and the one sender of a key's transactions.

JSON-RPC over aiohttp with eth-abi and eth-account, the parts web3.py itself stands on. web3 8's own
provider reads answers without a bound and parses them with `json.loads` under the recursion limit
that one of its dependencies raises: an endpoint that answers deep nesting ends the process. The
tests use web3, as an independent reader of what this package writes.
"""
