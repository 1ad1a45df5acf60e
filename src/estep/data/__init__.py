"""From what a user holds to leaves of rows that kernels read."""
