"""Says in one line why this interpreter can make no environment. Runs on any Python 3."""

import importlib.util
import sys

OLDEST, NEWEST = (3, 11), (3, 12)  # the newest is the newest that ape supports

if not OLDEST <= sys.version_info[:2] <= NEWEST:
    found = ".".join(map(str, sys.version_info[:2]))
    sys.exit(f"Python {found} is not supported: run make with PYTHON=python3.11 (or 3.12)")
if importlib.util.find_spec("ensurepip") is None:
    sys.exit(
        "this Python can not make virtual environments: install its venv package "
        "(on Debian: apt-get install python3-venv)"
    )
