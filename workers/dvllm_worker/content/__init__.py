"""Prompts in, answers out: the worker's use of the library's stores."""
