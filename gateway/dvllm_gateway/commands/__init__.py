"""One command of `gateway` per file."""
