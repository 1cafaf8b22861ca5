"""Engines behind the port `Engine`: vLLM, transformers in a child process, and one for tests."""
