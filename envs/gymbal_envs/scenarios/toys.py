"""Hand-written scenarios by name."""

from __future__ import annotations

from collections.abc import Callable

from gymbal_envs.scenarios.centre_scenario import CentreScenario
from gymbal_envs.scenarios.centre_toy import TOYS as CENTRE_TOYS
from gymbal_envs.scenarios.cluster_night_toy import NightShift
from gymbal_envs.scenarios.cluster_scenario import ClusterScenario
from gymbal_envs.scenarios.cluster_toy import LONG_S, SHORT_S, OneOverload
from gymbal_envs.scenarios.machine_toy import StreamAndLoop
from gymbal_envs.scenarios.scenario import Scenario, ScenarioError
from gymbal_envs.scenarios.sites_scenario import SitesScenario
from gymbal_envs.scenarios.sites_toy import TOYS as SITES_TOYS
from gymbal_envs.scenarios.toy import OppositePeaks

AnyScenario = Scenario | ClusterScenario | SitesScenario | CentreScenario


def toy_scenario(name: str) -> AnyScenario:
    """A hand-written scenario.

    Raises:
        ScenarioError: for an unknown name.
    """
    toys: dict[str, Callable[[], AnyScenario]] = {
        "opposite-peaks": OppositePeaks(),
        "stream-and-loop": StreamAndLoop(),
        "short-overload": OneOverload(SHORT_S),
        "long-overload": OneOverload(LONG_S),
        "night-shift": NightShift(),
        **SITES_TOYS,
        **CENTRE_TOYS,
    }
    if name not in toys:
        raise ScenarioError(f"toy {name!r} unknown; there are {', '.join(toys)}")
    return toys[name]()
