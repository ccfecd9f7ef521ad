"""The text that resctrl's files hold, and what a way mask must be for the kernel to take it.

Sources: the kernel's Documentation/arch/x86/resctrl.rst, and the answers of a real 6.1 kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

CACHE_RESOURCES = ("L3", "L3CODE", "L3DATA")
"""Names of the last-level cache in a schemata file; the latter two with code/data priority."""
TAKEN_MODES = ("exclusive", "pseudo-locked", "pseudo-locksetup")
"""Modes of a group whose ways nobody else may be given."""

_HEX = frozenset("0123456789abcdefABCDEF")
_MAX_DIGITS = 16
_MAX_COUNT_DIGITS = 9

Schemata = dict[str, dict[int, str]]
"""Resource to domain to value, as text: masks are hexadecimal, bandwidths are not."""


def parse_schemata(text: str) -> Schemata:
    """The contents of a ``schemata`` file.

    Args:
        text: lines such as ``L3:0=fffff;1=fffff``, the name padded with blanks on the left.

    Raises:
        ValueError: a line is something else; the message quotes it.
    """
    found: Schemata = {}
    for line in text.splitlines():
        name, colon, values = line.strip().partition(":")
        if not name:
            continue
        if not colon or name in found:
            raise ValueError(f"schemata line must be one RESOURCE:DOMAIN=VALUE;..., got {line!r}")
        found[name] = _parse_domains(values, line)
    return found


def _parse_domains(values: str, line: str) -> dict[int, str]:
    domains: dict[int, str] = {}
    for part in values.split(";"):
        domain, equals, value = part.strip().partition("=")
        if not domain.isascii() or not domain.isdigit() or not equals or not value.strip():
            raise ValueError(f"schemata line must name DOMAIN=VALUE pairs, got {line!r}")
        if len(domain) > _MAX_DIGITS or int(domain) in domains:
            raise ValueError(f"schemata line must name every domain once, got {line!r}")
        domains[int(domain)] = value.strip()
    return domains


def parse_mask(text: str) -> int:
    """A mask as the kernel prints it: hexadecimal without a prefix.

    Raises:
        ValueError: it is not that.
    """
    digits = text.strip()
    if not digits or len(digits) > _MAX_DIGITS or not set(digits) <= _HEX:
        raise ValueError(f"way mask must be a hexadecimal number, got {text!r}")
    return int(digits, 16)


def parse_count(text: str) -> int:
    """A number of something, such as ``num_closids``.

    Raises:
        ValueError: it is none, or larger than anything that hardware has.
    """
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > _MAX_COUNT_DIGITS:
        raise ValueError(f"a count must be a whole number, got {text[:80]!r}")
    return int(digits)


def cache_masks(schemata: Schemata) -> dict[int, int]:
    """Mask of each domain of the last-level cache; code and data united.

    Raises:
        ValueError: a mask is not hexadecimal.
    """
    masks: dict[int, int] = {}
    for name in CACHE_RESOURCES:
        for domain, value in schemata.get(name, {}).items():
            masks[domain] = masks.get(domain, 0) | parse_mask(value)
    return masks


def format_masks(mask: int, domains: Mapping[str, Iterable[int]]) -> str:
    """What to write into a ``schemata`` file: one mask for every domain of the cache.

    Args:
        mask: bit k set where the group may allocate in way k.
        domains: of each resource to set; those left out keep their values.
    """
    lines = []
    for name, ids in domains.items():
        values = ";".join(f"{domain}={mask:x}" for domain in ids)
        lines.append(f"{name}:{values}\n")
    return "".join(lines)


def lowest_run(mask: int) -> int:
    """The first stretch of adjacent bits, as a mask."""
    return mask & ~(mask + (mask & -mask))


def widest_run(mask: int) -> int:
    """The longest stretch of adjacent bits, as a mask; the lowest of equals, 0 of none."""
    best = 0
    while mask:
        run = lowest_run(mask)
        if run.bit_count() > best.bit_count():
            best = run
        mask &= ~run
    return best


def parse_pids(text: str) -> set[int]:
    """The contents of a ``tasks`` file: one thread id a line.

    Raises:
        ValueError: a line is something else.
    """
    return {int(line) for line in text.split()}
