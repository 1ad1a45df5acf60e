"""The kernels in NumPy: the definition of right."""
