"""A policy bundle in words, for ``gymbal-control inspect``."""

from __future__ import annotations

from gymbal_runtime.bundle import Bundle
from gymbal_runtime.manifest import Cell


def description(bundle: Bundle) -> str:
    """Manifest, evaluation table and model card as plain text."""
    manifest = bundle.manifest
    facts = _facts(bundle) | {"sha256": bundle.sha256, "golden cases": str(len(bundle.golden))}
    width = max(map(len, facts))
    lines = [f"{name:<{width}}  {value}" for name, value in facts.items()]
    lines += ["", "evaluation", *(table(manifest.evaluation) or ["(none)"])]
    lines += ["", bundle.model_card.rstrip()]
    return "\n".join(lines)


def table(rows: list[dict[str, Cell]]) -> list[str]:
    """Flat rows as aligned text columns, in the order in which the columns first appear."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [columns, *([_cell(row.get(name)) for name in columns] for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(columns))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
        if columns
    ]


def _facts(bundle: Bundle) -> dict[str, str]:
    manifest = bundle.manifest
    options = ", ".join(f"{key}={value}" for key, value in manifest.options.items())
    return {
        "task": manifest.task,
        "decides": ", ".join(bundle.codec.actions),
        "heuristic": manifest.heuristic + (f" ({options})" if options else ""),
        "largest": f"{bundle.policy.largest} {bundle.codec.signature.limited}",
        "created": manifest.created.isoformat(),
        "written by": f"gymbal {manifest.gymbal_version}",
        "versions": ", ".join(f"{name} {v}" for name, v in sorted(manifest.versions.items())),
        "seeds": ", ".join(map(str, manifest.seeds)),
        "codec fingerprint": manifest.fingerprint,
        "training config": manifest.training_config_sha256,
        "needs sensors": ", ".join(manifest.training_range.measured) or "none in particular",
    }


def _cell(value: Cell) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
