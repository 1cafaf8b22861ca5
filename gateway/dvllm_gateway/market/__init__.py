"""The chain and the content store as the services need them, over the library."""
