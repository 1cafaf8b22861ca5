"""Spares the garbage collector what was built at the start and stays to the end."""

import gc

NEW_OBJECTS = 5_000  # between two collections of the young ones


def keep_what_is_built() -> None:
    """Once, when everything is built.

    Each full collection would look at some 150,000 objects that can not go, and hold up whoever
    comes meanwhile: a tenth of a second, every few hundred jobs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
