"""Evaluation: predictions become figures."""
