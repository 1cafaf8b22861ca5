"""One file per contract: typed reads and encoded calls."""
