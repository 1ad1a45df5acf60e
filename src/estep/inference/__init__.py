"""The E-step over all data: what an algorithm may ask for, and what chunks of long sequences tell each other."""
