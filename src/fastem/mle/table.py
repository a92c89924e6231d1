"""A fit as text."""

from __future__ import annotations

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
    labels = result.family.labels(names)
    for parameter, value in result.parameters.items():
        error, bounds = result.standard_errors[parameter], intervals[parameter]
        for place in np.ndindex(value.shape):
            fixed = parameter in result.fixed
            rows.append(
                (
                    _label(parameter, place, labels.get(parameter)),
                    f"{value[place]:.6g}",
                    "fixed" if fixed else f"{error[place]:.4g}",
                    "" if fixed else "[{:.6g}, {:.6g}]".format(*bounds[place]),
                )
            )
    left_out = len(rows) - 1 - _MOST_ROWS
    rows = rows[: 1 + _MOST_ROWS]
    n = f"{result.n_samples} rows"
    if result.total_weight != result.n_samples:
        n += f" of total weight {result.total_weight:.6g}"
    lines = [f"{name} by maximum likelihood: {n}", *aligned(rows)]
    if left_out > 0:
        lines.append(f"... and {left_out} more numbers in .parameters")
    if result.no_errors_because is not None:
        lines.append(f"no standard errors: {result.no_errors_because}")
    if any(information.rough for information in result._informations):
        lines.append("standard errors are approximate: the likelihood has kinks")
    lines += [criteria(result), f"goodness of fit: {result.goodness_of_fit()}"]
    return "\n".join(lines)


def criteria(result: Any) -> str:
    """Log-likelihood, AIC and BIC in one line."""
    return (
        f"log-likelihood {result.log_likelihood:.6f}, {result.n_parameters} "
        f"parameter{'' if result.n_parameters == 1 else 's'}, AIC {result.aic:.4f}, "
        f"BIC {result.bic:.4f}"
    )


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of columns that are as wide as their widest entry, the first to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [entry.rjust(w) for entry, w in zip(row[1:], widths[1:], strict=True)]
        ).rstrip()
        for row in rows
    ]


def _label(parameter: str, place: tuple[int, ...], labels: Sequence[str] | None) -> str:
    if not place:
        return parameter
    if labels is not None:
        return labels[place[0]]
    return f"{parameter}[{', '.join(map(str, place))}]"
