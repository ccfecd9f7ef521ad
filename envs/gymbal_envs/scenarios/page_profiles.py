"""Names of how programs suffer without memory, as configurations give them."""

from __future__ import annotations

from gymbal_envs.demand.profiles import Profile, load_profiles, parametric_family, read_profiles
from gymbal_envs.scenarios.scenario import ScenarioError


def resolve_profiles(names: tuple[str, ...]) -> tuple[Profile, ...]:
    """Profiles by name: ``measured`` (all eight), ``power:ALPHA``, ``cliff:KNEE``, ``streaming``.

    ``file:PATH`` is a CSV file of page curves, or a folder of them (`read_profiles`).

    Raises:
        ScenarioError: for an unknown name.
        CurveError: if a file is not there or breaks its format.
    """
    found: list[Profile] = []
    for name in names:
        family, _, number = name.partition(":")
        if name == "measured":
            found += load_profiles()
        elif family == "power" and number:
            found.append(parametric_family("power", alpha=float(number)))
        elif family == "cliff" and number:
            found.append(parametric_family("cliff", knee=float(number), sharpness=20.0))
        elif name == "streaming":
            found.append(parametric_family("streaming"))
        elif family == "file" and number:
            found += read_profiles(number)
        else:
            raise ScenarioError(
                f"profile {name!r} unknown: use measured, power:ALPHA, cliff:KNEE, streaming or "
                "file:PATH"
            )
    return tuple(found)
