"""Without its extra the package says what to install, and importing it does no work."""

import subprocess
import sys

import pytest


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("missing", ["gymnasium", "numba"])
def test_a_missing_dependency_is_named_with_the_extra_that_brings_it(missing):
    done = run(f"import sys; sys.modules[{missing!r}] = None; import gymbal_envs")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert f"gymbal_envs needs {missing}" in last
    assert 'pip install "gymbal[envs]"' in last


def test_importing_registers_the_ids_and_loads_neither_environments_nor_pictures():
    code = (
        "import sys, gymnasium, gymbal_envs\n"
        "assert 'gymbal/Balloon-v0' in gymnasium.registry\n"
        "loaded = [m for m in sys.modules if m.startswith('gymbal_envs.')]\n"
        "assert not loaded, loaded\n"
        "assert not {'matplotlib', 'torch', 'polars'} & set(sys.modules)\n"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_make_finds_the_environment_by_module_and_id():
    code = (
        "import gymnasium, sys\n"
        "env = gymnasium.make('gymbal_envs:gymbal/Balloon-v0')\n"
        "assert env.reset(seed=0)[0]['vms'].ndim == 2\n"
        "assert 'matplotlib' not in sys.modules\n"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr
