"""Agents that cheat: they know the simulator's state and the future. Bounds, not baselines."""
