"""Small things that any room may need: caches, memory, random streams, cells as numbers."""
