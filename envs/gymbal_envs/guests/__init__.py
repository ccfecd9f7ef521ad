"""Real guests under QEMU: small Linux machines whose program obeys orders and reports.

For tests and benchmarks against a real hypervisor. Nothing here needs root, KVM or a network.
"""
