"""Fits: the loop, when to stop, where to start, constraints, priors, selection."""
