"""Objectives: model, loss and batch become a loss and its metrics."""
