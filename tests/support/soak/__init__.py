"""A whole local network under load, whose parts are killed and started again all the time."""
