"""Tasks: views on the simulated hosts that say who decides what, and what it is worth."""
