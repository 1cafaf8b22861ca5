"""Runs a program and ends its whole process group when the worker goes, however it goes.

`python -m dvllm_worker.engines.guard PROGRAM ARGUMENT...`, started as leader of a new group with a
pipe as standard input that only the worker holds: its end is the worker's end. A vLLM server starts
processes of its own; they share the group, so none outlives the worker even after a kill -9.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

GRACE_S = 10.0


def main() -> None:
    # A handler, not SIG_IGN: the program would inherit the latter and not heed SIGTERM.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr)
    threading.Thread(target=_end_group_with_worker, args=(program,), daemon=True).start()
    code = program.wait()
    sys.exit(code if code >= 0 else 128 - code)


def _end_group_with_worker(program: "subprocess.Popen[bytes]") -> None:
    # Unbuffered: a thread inside a buffered read would trip the interpreter's own end.
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        program.wait(GRACE_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
