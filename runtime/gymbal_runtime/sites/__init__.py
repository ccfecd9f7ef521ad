"""Moves of VMs with their disks between two data centres: what is seen, told, and decided."""
