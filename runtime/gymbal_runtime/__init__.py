"""The thin part of Gymbal: what a host tells, what it is told, and how to decide.

Needs numpy, onnxruntime and msgspec, nothing else. Training imports this package and so does the
controller on a real host, so there is one codec and no difference between the two.
"""

__version__ = "0.1.0"
