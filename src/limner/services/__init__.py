"""Services: the use cases, and the only door for applications."""
