"""The optimum of small placement problems, by a mixed-integer program (HiGHS).

    min   far sum_ht r_ht + swap sum_t s_t + core sum_ht k_ht + sum_vt C_v m_vt
    over  x_vht in {0, 1}: VM v is on host h in step t;   m_vt >= 0: it moves then;
          e_ht >= 0: bytes that h's VMs have elsewhere;   r_ht >= 0: bytes of others that h holds;
          s_t >= 0: bytes on swap devices;                k_ht >= 0: missing cores
    with  sum_h x_vht = 1,   sum_v x_vht <= slots_h,   m_vt >= x_vht - x_vh,t-1,
          sum_v need_vt x_vht - e_ht + r_ht <= memory_h,   sum_h e_ht <= sum_h r_ht + s_t,
          sum_v cores_vt x_vht - k_ht <= cpu_h.

models.md 12, row E2. Remote bytes are not told apart by VM: all have one price.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from gymbal_agents.oracles.placement import Floats, PlacementProblem, Places


@dataclass(frozen=True, eq=False)
class Optimum:
    """What the solver found.

    Attributes:
        cost: of the placement.
        bound: no placement costs less.
        where: (V, T) hosts.
    """

    cost: float
    bound: float
    where: Places


@dataclass(eq=False)
class _Rows:
    """Rows ``sum of terms <= high``, collected one by one."""

    columns: list[Places] = field(default_factory=list)
    factors: list[Floats] = field(default_factory=list)
    high: list[float] = field(default_factory=list)

    def add(self, high: float, *terms: tuple[NDArray[np.int64] | np.int64, Floats | float]) -> None:
        """One row; each term has columns and their factors."""
        columns = [np.atleast_1d(where) for where, _ in terms]
        factors = [np.broadcast_to(factor, np.shape(np.atleast_1d(w))) for w, factor in terms]
        self.columns.append(np.concatenate(columns))
        self.factors.append(np.concatenate(factors))
        self.high.append(high)

    def constraint(self, num_columns: int) -> LinearConstraint:
        """All rows."""
        ends = np.cumsum([0, *(len(row) for row in self.columns)])
        matrix = csr_array(
            (np.concatenate(self.factors), np.concatenate(self.columns), ends),
            shape=(len(self.high), num_columns),
        )
        return LinearConstraint(matrix, -np.inf, np.array(self.high))  # pyright: ignore[reportArgumentType]


def optimal_placement(problem: PlacementProblem, time_limit_s: float = 60.0) -> Optimum:
    """Solve a small problem: about 4 hosts, 12 VMs, 24 steps.

    Raises:
        ValueError: the VMs do not fit into the slots.
        RuntimeError: no placement was found in time.
    """
    v, h, t = problem.shape
    sizes = {"x": (v, h, t), "m": (v, t), "e": (h, t), "r": (h, t), "k": (h, t), "s": (t,)}
    ends = np.cumsum([0, *(int(np.prod(size)) for size in sizes.values())])
    at = {
        name: np.arange(first, last).reshape(size)
        for (name, size), first, last in zip(sizes.items(), ends[:-1], ends[1:], strict=True)
    }
    unit = _byte_unit(problem)
    cost = np.zeros(ends[-1])
    cost[at["m"]] = problem.move_cost[:, None]
    cost[at["r"]], cost[at["s"]] = problem.far_price * unit, problem.swap_price * unit
    cost[at["k"]] = problem.core_price
    rows = _rows(problem, at, unit)
    highest = np.full(ends[-1], np.inf)
    highest[at["x"]] = highest[at["m"]] = 1.0
    whole = np.zeros(ends[-1])
    whole[at["x"]] = 1.0
    found = milp(
        cost,
        integrality=whole,
        bounds=Bounds(np.zeros(ends[-1]), highest),  # pyright: ignore[reportArgumentType]
        constraints=rows.constraint(int(ends[-1])),
        options={"time_limit": time_limit_s, "mip_rel_gap": 1e-6},
    )
    if found.status == 2:
        raise ValueError(f"{v} VMs do not fit into {int(problem.slots.sum())} slots")
    if found.x is None:
        raise RuntimeError(f"no placement within {time_limit_s} s: {found.message}")
    where = found.x[at["x"]].argmax(axis=1)
    return Optimum(cost=float(found.fun), bound=float(found.mip_dual_bound), where=where)


def _byte_unit(problem: PlacementProblem) -> float:
    """Bytes that count as one: solvers want coefficients around one."""
    return float(max(problem.memory.max(initial=0.0), problem.need.max(initial=0.0), 1.0))


def _rows(problem: PlacementProblem, at: dict[str, Places], unit: float) -> _Rows:
    v, h, t = problem.shape
    rows = _Rows()
    for step in range(t):
        for vm in range(v):
            rows.add(1.0, (at["x"][vm, :, step], 1.0))
            rows.add(-1.0, (at["x"][vm, :, step], -1.0))
            for host in range(h):
                come = (at["x"][vm, host, step], 1.0), (at["m"][vm, step], -1.0)
                if step:
                    rows.add(0.0, *come, (at["x"][vm, host, step - 1], -1.0))
                else:
                    rows.add(float(problem.home[vm] == host), *come)
        for host in range(h):
            here = at["x"][:, host, step]
            rows.add(float(problem.slots[host]), (here, 1.0))
            rows.add(
                problem.memory[host] / unit,
                (here, problem.need[:, step] / unit),
                (at["e"][host, step], -1.0),
                (at["r"][host, step], 1.0),
            )
            missing = (at["k"][host, step], -1.0)
            rows.add(float(problem.cpu[host]), (here, problem.cores[:, step]), missing)
        elsewhere = (at["e"][:, step], 1.0), (at["r"][:, step], -1.0), (at["s"][step], -1.0)
        rows.add(0.0, *elsewhere)
    return rows
