"""What a data centre's day cost: energy, and service that was not given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConsolidationResult:
    """Measures of Beloglazov and Buyya (CCPE 24(13), 2012, section 4.3)."""

    energy_kwh: float
    migrations: int
    slatah: float  # SLA violation time per active host: share of active time without enough CPU
    pdm: float  # performance degradation due to migrations: share of the CPU that was asked for
    shutdowns: int  # hosts that went from some load to none
    mean_active_hosts: float  # with some load, over scheduling intervals
    lost_mips_frac: float  # share of the CPU asked for that was not given, migrations or not

    @property
    def slav(self) -> float:
        """SLA violation, SLATAH times PDM."""
        return self.slatah * self.pdm

    @property
    def esv(self) -> float:
        """Energy and SLA violation, kWh times SLAV."""
        return self.energy_kwh * self.slav
