"""The pure kernel: what a job, a document and a receipt are. No I/O, clock or randomness."""
