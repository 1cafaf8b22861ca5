"""OpenAI's /v1, which people's tools speak."""
