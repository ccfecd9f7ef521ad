"""Mistakes of the person at the keyboard: one clear line, no traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gymbal_agents.config import ConfigError
from gymbal_agents.roster import RosterError
from gymbal_envs.demand.sheet import CurveError
from gymbal_envs.demand.trace import TraceError
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_runtime.bundle_file import BundleError

USER_ERRORS = (TraceError, CurveError, ScenarioError, BundleError, ConfigError, RosterError)
EXIT_CODE = 2


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn a user's mistake into one line on stderr and exit code 2; anything else is a bug."""
    try:
        yield
    except USER_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(EXIT_CODE) from error
