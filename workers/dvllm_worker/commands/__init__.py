"""One module per command of `worker`; each holds a click command named `command`."""
