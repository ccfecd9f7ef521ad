"""Tasks on a host: worlds, rewards, spaces, and the Gymnasium environments that are made of them.

Everything but the environments' documentation is the same for every task; what differs is which
parts a task has (`gymbal_runtime.parts`), which terms its reward has and how often it decides.
"""
