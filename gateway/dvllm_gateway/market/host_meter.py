"""How much of this machine is in use."""

from pathlib import Path

import psutil

from dvllm_gateway.services.resources import Shares


class HostMeter:
    """The port Meter. `folder` is on the disk that is meant.

    The gateway uses no accelerator: `gpu` is that of a node, and 0 here.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        psutil.cpu_percent(None)  # later calls measure since the one before

    def measure(self) -> Shares:
        return Shares(
            cpu=psutil.cpu_percent(None),
            memory=psutil.virtual_memory().percent,
            gpu=0.0,
            storage=psutil.disk_usage(str(self._folder)).percent,
        )
