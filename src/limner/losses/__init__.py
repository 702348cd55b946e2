"""Losses: scores or predictions become one number."""
