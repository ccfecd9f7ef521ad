"""The physics: B independent hosts at once, as arrays, advanced by numba kernels."""
