"""A replay in words and numbers, for an operator who is about to let a policy act."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gymbal_runtime.inspection import table
from gymbal_runtime.manifest import Cell
from gymbal_runtime.replay import Floats, Replay, VmHistory

MIB = 2.0**20

_LEGEND = """\
done: the target that the host accepted, else what the VM held. would: the policy's, after the
guard. exposed: decisions that left a VM less than its estimated working set (which never exceeds
what it held), and by how much on average of those. in trouble: decisions in which the guest
swapped in or stalled on memory; more, less: of those, in which it would have been given more or
less than was done. The guests answered to what was done; how they would have answered to the
other, nobody knows."""


def report(replay: Replay, skipped: Mapping[str, int], markdown: bool = False) -> str:
    """Summary, counts and a row per VM.

    Args:
        replay: finished.
        skipped: lines of the log that were not used, by why.
        markdown: tables in Markdown instead of aligned text.
    """
    draw = _markdown if markdown else table
    title = f"{replay.host}: {replay.num_decisions} decisions, {replay.first} to {replay.last}"
    lines = [f"# {title}" if markdown else title, ""]
    for name, counts in (
        ("who would have decided", replay.sources),
        ("why not the policy", replay.reasons),
        ("the guard would have fired (VMs)", replay.guard),
        ("errors", replay.errors),
        ("lines of the log not used", skipped),
    ):
        if counts:
            said = ", ".join(f"{key} {count}" for key, count in sorted(counts.items()))
            lines += [f"{name}: {said}", *([""] if markdown else [])]
    rows = vm_rows(replay)
    lines += ["", *(draw(rows) if rows else ["no VM was there"]), "", _LEGEND]
    return "\n".join(lines)


def vm_rows(replay: Replay) -> list[dict[str, Cell]]:
    """A row per VM and one over all of them, sizes in MiB."""
    rows = [_row(name, [vm]) for name, vm in replay.vms.items()]
    if len(rows) > 1:
        rows.append(_row("all", list(replay.vms.values())))
    return rows


def _row(name: str, vms: list[VmHistory]) -> dict[str, Cell]:
    would, done, needed = (_joined(vms, name) / MIB for name in ("would", "done", "working_set"))
    trouble = _joined(vms, "trouble") > 0
    difference = would - done
    row: dict[str, Cell] = {
        "VM": name,
        "decisions": len(would),
        "done MiB": float(done.mean()),
        "would MiB": float(would.mean()),
        "mean diff": float(difference.mean()),
        "mean |diff|": float(np.abs(difference).mean()),
        "max |diff|": float(np.abs(difference).max()),
    }
    for label, given in (("done", done), ("would", would)):
        # Below 1 MiB it is rounding: targets are whole bytes, estimates are not.
        missing = np.maximum(needed - given, 0.0)
        short = missing > 1.0
        row[f"{label} exposed"] = f"{short.mean():.1%}"
        row[f"by MiB ({label})"] = float(missing[short].mean()) if short.any() else 0.0
    row["in trouble"] = f"{trouble.mean():.1%}"
    for label, moved in (("more", difference > 1.0), ("less", difference < -1.0)):
        row[f"then {label}"] = f"{moved[trouble].mean():.1%}" if trouble.any() else ""
    return row


def _joined(vms: list[VmHistory], column: str) -> Floats:
    return np.concatenate([vm[column] for vm in vms])


def _markdown(rows: list[dict[str, Cell]]) -> list[str]:
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return [line.replace("|diff|", "\\|diff\\|") for line in lines]
