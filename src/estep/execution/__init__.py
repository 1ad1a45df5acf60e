"""How work on leaves runs: in this thread, or on several. The sum is the same to the bit either way."""
