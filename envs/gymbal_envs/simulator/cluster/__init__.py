"""Several hosts: network, remote memory, migration and clones on top of the hosts' physics."""
