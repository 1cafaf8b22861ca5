"""Makes log records cheaper by what no line of ours shows."""

import logging


def spare_what_is_not_shown() -> None:
    """As the library's documentation advises: each of these costs time."""
    logging.logThreads = False
    logging.logProcesses = False
    logging.logMultiprocessing = False
    logging._srcfile = None
