"""Spares the garbage collector what was built at the start and stays to the end."""

import gc

NEW_OBJECTS = 5_000  # between two collections of the young ones


def keep_what_is_built() -> None:
    """Once, when everything is built.

    Each full collection would look at all objects that can not go, and hold up every lease
    meanwhile: a tenth of a second and more, every few hundred jobs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
