"""Everything that an operator may set, as typed sections; docs/controller.md explains them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from gymbal_runtime.sizes import parse_size

Size = int | float | str
"""Bytes as a number, or text such as ``"48GiB"``."""
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the configuration file."""


def _check_sizes(section: Section, *names: str) -> None:
    """Refuse text that is no size where it was written, with the field's name."""
    for name in names:
        value = getattr(section, name)
        if value is not None:
            try:
                parse_size(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error


class PartSettings(Section, frozen=True):
    """Something beside the hypervisor that measures or obeys."""

    kind: str
    options: dict[str, Any] = {}


class HostSettings(Section, frozen=True):
    """Which host, and what it is put together from."""

    kind: str = ""
    name: str = ""
    options: dict[str, Any] = {}
    parts: tuple[PartSettings, ...] = ()
    budget: Size | None = None
    max_vms: Positive | None = None
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0

    def __post_init__(self) -> None:
        _check_sizes(self, "budget")


class PolicySettings(Section, frozen=True):
    """Who decides: a trained policy, or a heuristic alone."""

    bundle: str = ""
    heuristic: str = ""
    options: dict[str, Any] = {}
    deadline_s: Seconds = 0.1
    fresh_s: Seconds = 15.0


class ControlSettings(Section, frozen=True):
    """How far the controller goes, how often, and how it begins and ends."""

    mode: Literal["observe", "advise", "act"] = "observe"
    interval_s: Seconds = 5.0
    hold_steps: Count = 3
    on_exit: Literal["keep", "restore"] = "keep"
    state_file: str = ""


class GuardSettings(Section, frozen=True):
    """Limits of every decision, whoever took it.

    Ranges are checked by `gymbal_runtime.guard` and `gymbal_runtime.guard_protection`.
    """

    max_change_frac: float = 10.0
    dead_band_frac: float = 0.01
    max_age_s: float = 30.0
    protect: bool = True
    headroom_frac: float = 0.1
    swap_in_rate: Size = "1MiB"
    psi_some_frac: float = 0.2
    shrink_first: bool = True

    def __post_init__(self) -> None:
        _check_sizes(self, "swap_in_rate")


class LogSettings(Section, frozen=True):
    """Where decisions are written, how much of it, and what."""

    file: str = ""
    max_size: Size | None = None
    keep: Count = 5
    telemetry: Literal["summary", "full"] = "summary"

    def __post_init__(self) -> None:
        _check_sizes(self, "max_size")


class MetricsSettings(Section, frozen=True):
    """Where the controller's own metrics are published."""

    file: str = ""
    listen: str = ""


class VmRule(Section, frozen=True):
    """What holds for the VMs whose name matches."""

    match: str
    shares: Annotated[float, msgspec.Meta(gt=0)] | None = None
    min: Size | None = None
    max: Size | None = None

    def __post_init__(self) -> None:
        _check_sizes(self, "min", "max")


class VmSettings(Section, frozen=True):
    """Which VMs are served, and what their owners were promised."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    min: Size | None = None
    rules: tuple[VmRule, ...] = ()

    def __post_init__(self) -> None:
        _check_sizes(self, "min")


class Settings(Section, frozen=True):
    """A configuration file."""

    host: HostSettings = HostSettings()
    policy: PolicySettings = PolicySettings()
    control: ControlSettings = ControlSettings()
    guard: GuardSettings = GuardSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    vms: VmSettings = VmSettings()
