"""Several hosts: what they report, what they are told, and who decides."""
