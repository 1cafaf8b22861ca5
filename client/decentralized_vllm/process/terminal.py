"""Is there anybody to ask?"""

import os
import sys


def has_terminal() -> bool:
    """getpass asks the terminal of the process wherever its input comes from."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return sys.stdin is not None and sys.stdin.isatty()
    return True
