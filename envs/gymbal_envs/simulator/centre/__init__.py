"""Data centres: many hosts that sleep and wake, and the placement of their virtual machines.

`engine` plays them with what waking, moving and sharing cost. `power` to `consolidation` are rules
over flat arrays of hosts and VMs; they know no clock. `cloudsim*` reproduces the semantics of
CloudSim 3.0.3 around them, for comparison with what others published.
"""
