"""HTTP without any dialect: routing, limits, errors, streams, and the listeners."""
