"""The range checks that the configurations of losses share."""

from __future__ import annotations


def check_weight(name: str, weight: float) -> None:
    """Refuses a negative weight.

    Raises:
        ValueError: If the weight of loss `name` is below 0.
    """
    if weight < 0:
        raise ValueError(f"loss.{name}.weight must be 0 or more, got {weight}")


def check_above_zero(name: str, value: float) -> None:
    """Refuses a value that is not positive.

    Raises:
        ValueError: If the value `name` of a loss is 0 or less.
    """
    if value <= 0:
        raise ValueError(f"loss.{name} must be above 0, got {value}")


def check_between(name: str, value: float, lowest: float, highest: float) -> None:
    """Refuses a value outside an interval.

    Raises:
        ValueError: If the value `name` of a loss is below `lowest` or above `highest`.
    """
    if not lowest <= value <= highest:
        raise ValueError(f"loss.{name} must be {lowest:g} to {highest:g}, got {value}")
