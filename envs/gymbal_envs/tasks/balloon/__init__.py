"""``gymbal/Balloon-v0``: divide one host's memory between its VMs."""
