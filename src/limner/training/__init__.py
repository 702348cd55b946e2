"""Training: an objective and a stream of batches become weights."""
