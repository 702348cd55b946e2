"""Data: files become typed batches."""
