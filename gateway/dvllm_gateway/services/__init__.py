"""What the gateway does, whoever asks: no HTTP, no wire formats, money in wei."""
