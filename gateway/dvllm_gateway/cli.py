"""The command `gateway`."""

import click


@click.group()
@click.version_option(package_name="decentralized-vllm-gateway")
def main() -> None:
    """Serve the network over HTTP."""
