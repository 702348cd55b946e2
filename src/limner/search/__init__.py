"""Search: pictures become a collection, a query becomes hits."""
