"""How much VMs want: traces, their readers, and generators fitted to them."""
