"""Gives py-solc-x, and so ape, the compiler that npm installed. Run: `_ensure_solc.py 0.8.30`.

There is one compiler for forge and ape alike, pinned by package-lock.json; nothing is downloaded.
The folder of py-solc-x is `$SOLCX_BINARY_PATH`, which the Makefile sets inside the checkout.
"""

import subprocess
import sys
from pathlib import Path

import solcx

SHIM = Path(__file__).resolve().with_name("solc-shim")


def ensure_solc(version: str) -> Path:
    """Raises RuntimeError if npm installed another version."""
    said = subprocess.run([SHIM, "--version"], capture_output=True, text=True, check=True).stdout
    if f"Version: {version}+" not in said:
        raise RuntimeError(f"the compiler that npm installed is not {version}: {said.strip()}")
    folder = solcx.get_solcx_install_folder()
    folder.mkdir(parents=True, exist_ok=True)
    link: Path = folder / f"solc-v{version}"
    if link.is_symlink() and link.resolve() != SHIM:
        link.unlink()  # of a checkout that has moved
    if not link.exists():
        link.symlink_to(SHIM)
    return link


if __name__ == "__main__":
    print(ensure_solc(sys.argv[1]))
