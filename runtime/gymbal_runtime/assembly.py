"""A controller from settings: everything that can be wrong with them is found here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gymbal_runtime.adapters.combined import CombinedHost
from gymbal_runtime.adapters.opening import open_configured
from gymbal_runtime.agent import Agent
from gymbal_runtime.bundle import Bundle, read_bundle
from gymbal_runtime.configuration import ConfigurationError
from gymbal_runtime.controller import Controller
from gymbal_runtime.custody import Custody
from gymbal_runtime.decision import DecisionLog
from gymbal_runtime.guard import GuardLimits
from gymbal_runtime.guard_protection import Protection
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.host import Host
from gymbal_runtime.safeguard import Safeguard
from gymbal_runtime.selected_host import Promise, SelectedHost
from gymbal_runtime.settings import GuardSettings, PolicySettings, Settings, VmSettings
from gymbal_runtime.sizes import parse_size
from gymbal_runtime.tasks import TASKS
from gymbal_runtime.timed_host import TimedHost


@dataclass(frozen=True)
class Deciders:
    """Makes agents, as many as are asked for: each has a memory of its own.

    Attributes:
        bundle: the policy; None where a heuristic decides alone.
        settings: name of that heuristic, its options, and the deadlines.
    """

    bundle: Bundle | None
    settings: PolicySettings

    def agent(self) -> Agent | None:
        """The policy, if there is one."""
        made: Agent | None = None if self.bundle is None else self.bundle.agent(checked=True)
        return made

    def fallback(self) -> Agent:
        """The heuristic that decides where the policy does not."""
        if self.bundle is None:
            return make_heuristic(self.settings.heuristic, **self.settings.options)
        made: Agent = self.bundle.fallback()
        return made

    def labels(self) -> dict[str, str]:
        """What decides, for metrics."""
        if self.bundle is None:
            return {"policy": "", "heuristic": self.settings.heuristic}
        codec = self.bundle.codec
        return {"policy": self.bundle.sha256[:16], "heuristic": codec.heuristic, "task": codec.task}


def read_deciders(settings: PolicySettings) -> Deciders:
    """Load what decides.

    Raises:
        ValueError: the bundle is broken or not about one host, or there is no such heuristic.
    """
    if not settings.bundle:
        deciders = Deciders(None, settings)
        deciders.fallback()
        return deciders
    bundle = read_bundle(Path(settings.bundle))
    if bundle.codec.task not in TASKS:
        raise ValueError(f"{settings.bundle}: {bundle.codec.task} is not about one host")
    return Deciders(bundle, settings)


def make_safeguard(settings: GuardSettings, hold_steps: int = 0) -> Safeguard:
    """What stands between decisions and the host.

    Raises:
        ConfigurationError: a limit is negative or NaN.
    """
    try:
        limits = GuardLimits(
            max_change_frac=settings.max_change_frac,
            dead_band_frac=settings.dead_band_frac,
            max_age_s=settings.max_age_s,
        )
        protection = Protection(
            headroom_frac=settings.headroom_frac,
            swap_in_rate=parse_size(settings.swap_in_rate),
            psi_some_frac=settings.psi_some_frac,
        )
    except ValueError as error:
        raise ConfigurationError(f"guard: {error}") from error
    return Safeguard(
        limits,
        protection if settings.protect else None,
        shrink_first=settings.shrink_first,
        hold_steps=hold_steps,
    )


def open_settings_host(settings: Settings) -> Host:
    """The host, called with a deadline where time is real, with the VMs that are to be served.

    Raises:
        HostError: it cannot be opened.
        ValueError: a promise to a VM makes no sense.
    """
    promises = _promises(settings.vms)
    given = settings.host
    host = open_configured(
        given.kind,
        given.options,
        [(part.kind, part.options) for part in given.parts],
        name=given.name,
        budget_bytes=_size(given.budget),
        max_vms=given.max_vms,
        timeout_s=given.timeout_s,
    )
    # Without an interval nobody waits for anything: time is simulated.
    if not isinstance(host, CombinedHost) and settings.control.interval_s > 0:
        host = TimedHost(host, given.timeout_s)
    if settings.vms != VmSettings():
        vms = settings.vms
        host = SelectedHost(host, include=vms.include, exclude=vms.exclude, promises=promises)
    return host


def check_files(settings: Settings) -> None:
    """Refuse files in directories that do not exist.

    Raises:
        ConfigurationError: naming the first.
    """
    for name in (settings.log.file, settings.metrics.file, settings.control.state_file):
        folder = Path(name).absolute().parent
        if name and not folder.is_dir():
            raise ConfigurationError(f"{name}: there is no directory {folder}")


def make_controller(settings: Settings) -> Controller:
    """The controller that these settings describe, with its host open.

    Raises:
        ValueError: something about the settings is wrong.
    """
    control, policy, log = settings.control, settings.policy, settings.log
    deciders = read_deciders(policy)
    safeguard = make_safeguard(settings.guard, control.hold_steps)
    check_files(settings)
    host = open_settings_host(settings)
    custody = None
    if control.on_exit == "restore":
        custody = Custody(str(host.name), _path(control.state_file))
    controller = Controller(
        host,
        deciders.agent(),
        deciders.fallback(),
        mode=control.mode,
        safeguard=safeguard,
        deadline_s=policy.deadline_s,
        fresh_s=policy.fresh_s,
        custody=custody,
        log=DecisionLog(_path(log.file), _size(log.max_size), log.keep),
        log_records=log.telemetry == "full",
        metrics_file=_path(settings.metrics.file),
    )
    controller.metrics.build |= deciders.labels()
    return controller


def _promises(settings: VmSettings) -> list[Promise]:
    """One for each rule; the minimum that holds for all fills in where a rule has none."""
    least = _size(settings.min)
    rules = [
        Promise(
            rule.match, rule.shares, least if rule.min is None else _size(rule.min), _size(rule.max)
        )
        for rule in settings.rules
    ]
    return [*rules, Promise("*", min_bytes=least)] if least is not None else rules


def _size(size: Any) -> float | None:
    return None if size is None else parse_size(size)


def _path(name: str) -> Path | None:
    return Path(name) if name else None
