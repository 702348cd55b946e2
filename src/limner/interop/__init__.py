"""Interop: other projects' weights, in and out."""
