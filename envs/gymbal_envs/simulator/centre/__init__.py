"""Data centres: many hosts that sleep and wake, and the placement of their virtual machines.

`engine` plays them with what waking, moving and sharing cost. `cloudsim*` reproduces the semantics
of CloudSim 3.0.3 around the rules of consolidation that data centres run, too
(`gymbal_runtime.centre.rules`), for comparison with what others published.
"""
