"""The node: watches for leased jobs, runs the model, publishes and delivers."""
