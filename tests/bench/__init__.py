"""Figures of the whole path, each by a small program of its own; `make bench` runs them all."""
