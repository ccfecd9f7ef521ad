"""Profile a program of one's own: trace its memory references, write its miss curves."""
