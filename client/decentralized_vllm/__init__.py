"""Client library: submit a prompt from a wallet, get a verified answer or the money back."""
