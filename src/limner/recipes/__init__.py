"""Recipes: whole training runs by name."""
