"""Shows how far a transfer is, on a terminal; silent elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from decentralized_vllm.protocol.ports import Progress


@contextmanager
def transfer_progress(what: str) -> Iterator[Progress | None]:
    """Yields None where standard error is no terminal: nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Bar(*columns, TransferSpeedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def show(done_bytes: int, total_bytes: int | None) -> None:
            # The total is the sender's claim and counts a little more than the files.
            bar.update(
                task, completed=done_bytes, total=total_bytes and max(total_bytes, done_bytes)
            )

        yield show
