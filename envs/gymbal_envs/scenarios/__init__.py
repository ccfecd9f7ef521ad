"""What an episode is about: a host, its VMs, and what they will want."""
