"""A network with one worker on duty, and a gateway's key with money."""

from tests.support.staffed_network import anvil, net, worker

__all__ = ["anvil", "net", "worker"]
