"""Errors of the local network, beside those of the library.

PermanentError
├── ProcessFailed       a process of the network ended, or was not ready in time
├── DemoFailed          the network ran, but a job did not go as the demonstration shows it
└── SettingError
    ├── PortTaken       something else listens on a port of `devnet.toml`
    ├── AlreadyRunning  another network uses the same data folder
    └── UnusableState   what is saved of the network can not be used with these settings
"""

from decentralized_vllm.protocol.errors import PermanentError, SettingError


class ProcessFailed(PermanentError):
    pass


class DemoFailed(PermanentError):
    pass


class PortTaken(SettingError):
    pass


class AlreadyRunning(SettingError):
    pass


class UnusableState(SettingError):
    pass
