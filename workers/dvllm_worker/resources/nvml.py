"""NVIDIA's accelerators, measured where the machine has them and their library (nvidia-ml-py)."""

import importlib
from typing import Any

from dvllm_worker.resources.meter import Gpus


class NvmlMeter:
    """The port GpuMeter. Without the library or a device it measures nothing."""

    def __init__(self) -> None:
        self._nvml, self._handles = _open()

    def measure(self) -> Gpus | None:
        if not self._handles:
            return None
        load, used, total = 0.0, 0, 0
        for handle in self._handles:
            load += self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu
            memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
            used, total = used + memory.used, total + memory.total
        return Gpus(load / len(self._handles), 100 * used / total)


def _open() -> tuple[Any, list[Any]]:
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None, []
    try:
        nvml.nvmlInit()
        count = nvml.nvmlDeviceGetCount()
        return nvml, [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
    except nvml.NVMLError:
        return nvml, []
