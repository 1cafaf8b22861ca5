"""The node's one listener: reads by CID, prompt blocks, a job's progress, and its status."""
