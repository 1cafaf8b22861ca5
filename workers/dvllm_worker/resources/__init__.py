"""What of the machine the node uses, may use, and is told to use."""
