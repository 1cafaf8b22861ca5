"""The deployment plan, from the library, in ape's environment.

The library's dependencies and ape's exclude each other (web3 8 and web3 7), so only its pure
kernel is loaded: the package is entered without running its __init__.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).resolve().parent.parent / "client" / "decentralized_vllm"


def load_plan() -> ModuleType:
    if "decentralized_vllm" not in sys.modules:
        package = ModuleType("decentralized_vllm")
        package.__path__ = [str(PACKAGE)]
        sys.modules["decentralized_vllm"] = package
    return importlib.import_module("decentralized_vllm.protocol.deployment_plan")
