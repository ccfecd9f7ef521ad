"""Gymnasium environments of virtual machine hosts. Importing this package registers their ids.

Needs the extra ``envs``: ``pip install "gymbal[envs]"``.
"""

try:
    import gymnasium
    import numba  # noqa: F401
except ImportError as missing:
    raise ImportError(
        f'gymbal_envs needs {missing.name}: install it with  pip install "gymbal[envs]"'
    ) from missing

for _id, _module, _name in (
    ("gymbal/Balloon-v0", "balloon", "Balloon"),
    ("gymbal/Cache-v0", "cache", "Cache"),
    ("gymbal/Host-v0", "host", "WholeHost"),
    ("gymbal/Overload-v0", "overload", "Overload"),
    ("gymbal/Cluster-v0", "cluster", "Cluster"),
    ("gymbal/Sites-v0", "sites", "Sites"),
    ("gymbal/Consolidation-v0", "consolidation", "Consolidation"),
    ("gymbal/Placement-v0", "placement", "Placement"),
):
    gymnasium.register(
        id=_id,
        entry_point=f"gymbal_envs.tasks.{_module}:{_name}Env",
        vector_entry_point=f"gymbal_envs.tasks.{_module}:{_name}VectorEnv",
    )
