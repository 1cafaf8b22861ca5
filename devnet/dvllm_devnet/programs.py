"""Where the local chain's program is: the npm package for this platform, else PATH."""

import platform
import shutil
import sysconfig
from pathlib import Path

from decentralized_vllm.protocol.errors import MissingProgram

_PLATFORMS = {"linux": "linux", "darwin": "darwin"}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def platform_package(system: str, machine: str) -> str | None:
    """The npm package with anvil for a platform, as `platform.system()` and `machine()` name it."""
    os_name = _PLATFORMS.get(system.lower())
    cpu = _MACHINES.get(machine.lower())
    return f"@foundry-rs/anvil-{os_name}-{cpu}" if os_name and cpu else None


def find_anvil(root: Path) -> Path:
    """Raises MissingProgram with the mend. `root` is the folder that has node_modules."""
    system, machine = platform.system(), platform.machine()
    package = platform_package(system, machine)
    if package is not None:
        packaged = root / "node_modules" / package / "bin" / "anvil"
        if packaged.is_file():
            return packaged
    on_path = shutil.which("anvil")
    if on_path is None:
        raise MissingProgram(
            "anvil",
            f"the local chain's program is missing (this is {system} on {machine})",
            hint="run `npm ci` on Linux x86-64; elsewhere install Foundry and put anvil on PATH",
        )
    return Path(on_path)


def find_script(name: str) -> Path:
    """A console script installed with this interpreter. Raises MissingProgram."""
    script = Path(sysconfig.get_path("scripts")) / name
    if not script.is_file():
        raise MissingProgram(
            name, f"{script} is missing", hint="install the packages again: `make demo` does it"
        )
    return script
