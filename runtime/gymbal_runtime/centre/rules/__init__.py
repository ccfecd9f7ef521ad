"""The rules of dynamic consolidation, over flat arrays of hosts and VMs; they know no clock.

One implementation for two uses: the simulator's CloudSim mode, which reproduces the results of
CloudSim 3.0.3, and the heuristics that run a data centre.
"""
