"""One folder per API family: wire models, operations, and an error speller over the core."""
