"""The demonstration: one paid job, one takeover, one refund, on a network of its own."""
