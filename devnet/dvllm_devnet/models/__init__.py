"""Models for local networks and tests, built from what package registries carry."""
