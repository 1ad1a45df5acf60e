"""What parameters are: immutable values, and covariances of the four types."""
