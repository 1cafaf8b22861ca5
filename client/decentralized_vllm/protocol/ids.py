"""Types for the values that cross boundaries: a job id is never taken for a block number."""

from typing import NewType

JobId = NewType("JobId", int)
ModelId = NewType("ModelId", str)
VersionNumber = NewType("VersionNumber", int)
Cid = NewType("Cid", str)  # text form, CIDv0 or CIDv1
Address = NewType("Address", str)  # EIP-55 checksummed
TxHash = NewType("TxHash", str)  # 0x + 64 lower-case hex digits
BlockNumber = NewType("BlockNumber", int)
Wei = NewType("Wei", int)  # 1e-18 token (or ether, where a field says gas)

ZERO_ADDRESS = Address("0x0000000000000000000000000000000000000000")
