"""The gateway: services without transport, dialects without logic, one process."""
