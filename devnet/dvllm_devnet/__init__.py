"""A local network of decentralized-vllm: chain, contracts, store, model and workers."""
