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

gymnasium.register(
    id="gymbal/Balloon-v0",
    entry_point="gymbal_envs.tasks.balloon.env:BalloonEnv",
    vector_entry_point="gymbal_envs.tasks.balloon.vector:BalloonVectorEnv",
)
