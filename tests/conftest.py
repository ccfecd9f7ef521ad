"""What all tests share."""

from hypothesis import settings

# The first example of a test may compile kernels, which takes as long as it takes.
settings.register_profile("gymbal", deadline=None)
settings.load_profile("gymbal")
