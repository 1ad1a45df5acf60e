"""Model files: written in one step, read and checked."""
