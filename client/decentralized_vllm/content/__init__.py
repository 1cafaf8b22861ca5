"""Content by address: CIDs, block stores and their servers. Import from the modules."""
