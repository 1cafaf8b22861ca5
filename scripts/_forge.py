"""Runs forge with the compiler of this checkout, wherever the packages of npm put both."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ARTIFACTS = ROOT / "build" / "forge" / "out"
NPM_FORGE = ROOT / "node_modules" / "@foundry-rs" / "forge-linux-amd64" / "bin" / "forge"
SOLC = ROOT / "scripts" / "solc-shim"


def forge(*arguments: str) -> None:
    """Raises CalledProcessError if forge says no; its output goes to the terminal."""
    program = str(NPM_FORGE) if NPM_FORGE.exists() else "forge"
    environment = {"FOUNDRY_SOLC": str(SOLC), "FOUNDRY_OFFLINE": "true", **os.environ}
    subprocess.run([program, *arguments], cwd=ROOT, env=environment, check=True)
