"""Checks of numbers in the settings of learners, which name the field as a user writes it."""

from __future__ import annotations


def check_at_least(group: str, settings: object, **least: float) -> None:
    """Refuse fields that are too small.

    Args:
        group: of the configuration that the settings stand in, such as ``search``; empty: the top.
        settings: a dataclass.
        least: the smallest value of each field.

    Raises:
        ValueError: naming the first field that is less, or not a number.
    """
    for name, bound in least.items():
        value = getattr(settings, name)
        if not value >= bound:
            raise ValueError(f"{_written(group, name)} ({value}) must be {bound} or more")


def check_at_most(group: str, settings: object, **most: float) -> None:
    """Refuse fields that are too large.

    Raises:
        ValueError: naming the first field that is more, or not a number.
    """
    for name, bound in most.items():
        value = getattr(settings, name)
        if not value <= bound:
            raise ValueError(f"{_written(group, name)} ({value}) must be {bound} or less")


def check_positive(group: str, settings: object, *names: str) -> None:
    """Refuse fields that are 0, negative or not a number.

    Raises:
        ValueError: naming the first of them.
    """
    for name in names:
        value = getattr(settings, name)
        if not value > 0:
            raise ValueError(f"{_written(group, name)} ({value}) must be positive")


def check_share(name: str, value: float) -> None:
    """Refuse what is not in (0, 1].

    Raises:
        ValueError: naming it.
    """
    if not 0 < value <= 1:
        raise ValueError(f"{name} ({value}) must lie in (0, 1]")


def _written(group: str, name: str) -> str:
    return f"{group}.{name}" if group else name
