"""A fit as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_MOST_ROWS = 40


def shown(result: Any) -> str:
    """The table that a result prints: parameters with errors and intervals, and criteria."""
    name = type(result.family).__name__
    rows = [("", "estimate", "std. error", "95 % interval")]
    intervals = result.confidence_intervals()
    names = None if result._data is None else result._data.names
    names_of_places = names if result.family.univariate else None
    labels = result.family.labels(names)
    for parameter, value in result.parameters.items():
        error, bounds = result.standard_errors[parameter], intervals[parameter]
        for place in np.ndindex(value.shape):
            fixed = parameter in result.fixed
            rows.append(
                (
                    _label(parameter, place, labels.get(parameter), names_of_places),
                    number(value[place], error[place]),
                    "fixed" if fixed else f"{error[place]:.4g}",
                    "" if fixed else _interval(bounds[place], error[place]),
                )
            )
    left_out = len(rows) - 1 - _MOST_ROWS
    rows = rows[: 1 + _MOST_ROWS]
    n = f"{result.n_samples} row{'' if result.n_samples == 1 else 's'}"
    if result.total_weight != result.n_samples:
        n += f" of total weight {result.total_weight:.6g}"
    lines = [f"{name} by maximum likelihood: {n}", *aligned(rows)]
    if left_out > 0:
        lines.append(f"... and {left_out} more numbers in .parameters")
    if result.no_errors_because is not None:
        some = any(np.isfinite(e).any() for e in result.standard_errors.values())
        lines.append(
            f"{'some' if some else 'all'} standard errors are missing: {result.no_errors_because}"
        )
    if any(information.rough for information in result._informations):
        lines.append("standard errors are approximate: the likelihood has kinks")
    if (remark := result.family.remark) is not None:
        lines.append(remark)
    lines += [criteria(result), f"goodness of fit: {result.goodness_of_fit()}"]
    return "\n".join(lines)


def number(value: Any, error: Any) -> str:
    """A number to some more digits than its error leaves it."""
    if not error > 0 or not value:
        return f"{value:.6g}"
    digits = 4 + math.floor(math.log10(abs(value))) - math.floor(math.log10(error))
    return f"{value:.{min(max(digits, 4), 15)}g}"


def _interval(bounds: Any, error: Any) -> str:
    if np.isnan(bounds).any():
        return "none"
    return f"[{number(bounds[0], error)}, {number(bounds[1], error)}]"


def criteria(result: Any) -> str:
    """Log-likelihood, AIC and BIC in one line."""
    return (
        f"log-likelihood {result.log_likelihood:.6f}, {result.n_parameters} "
        f"parameter{'' if result.n_parameters == 1 else 's'}, AIC {result.aic:.4f}, "
        f"BIC {result.bic:.4f}"
    )


def aligned(rows: Sequence[tuple[str, ...]], left: Sequence[int] = (0,)) -> list[str]:
    """Lines of columns that are as wide as their widest entry, some of them to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            entry.ljust(width) if i in left else entry.rjust(width)
            for i, (entry, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _label(
    parameter: str,
    place: tuple[int, ...],
    labels: Sequence[str] | None,
    names: Sequence[str] | None,
) -> str:
    """The name of a number: its own, or that of the parameter with its column or its place."""
    if not place:
        return parameter
    if labels is not None:
        return labels[place[0]]
    column = place[0] if names is None else names[place[0]]
    return f"{parameter}[{', '.join(map(str, (column, *place[1:])))}]"
