"""The summary of a fitted mixture that the command line prints: plain, aligned text."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .covariances import COVARIANCES

_MAX_COLUMNS = 50
# Standard deviations come from whole covariance matrices; beyond this size they are left out.
_MAX_MATRIX_ENTRIES = 10_000_000


def n_parameters(model: Any) -> int:
    """Count the free parameters of a fitted mixture, through its public interface.

    AIC is twice this number minus twice the log-likelihood; the latter is finite at a mean.
    """
    point = model.means_[:1]
    log_likelihood = float(model.score_samples(point).sum())
    return round((float(model.aic(point)) + 2.0 * log_likelihood) / 2.0)


def model_lines(model: Any) -> list[tuple[str, str]]:
    """Describe the size of a mixture."""
    k = model.means_.shape[0]
    components = "1 component" if k == 1 else f"{k} components"
    text = (
        f"{components}, {model.covariance_type} covariance, {n_parameters(model)} free parameters"
    )
    return [("Model", text)]


def likelihood_lines(model: Any, log_likelihood: float, n: float) -> list[tuple[str, str]]:
    """Give the log-likelihood of n rows, BIC and AIC."""
    p = n_parameters(model)
    return [
        ("Log-likelihood", f"{fixed(log_likelihood)} ({fixed(log_likelihood / n)} per row)"),
        ("BIC", fixed(-2.0 * log_likelihood + p * math.log(n))),
        ("AIC", fixed(-2.0 * log_likelihood + 2.0 * p)),
    ]


_NOT_CONVERGED = {
    "max_iter": "it stopped while the log-likelihood was still rising; allow more iterations with "
    "--max-iter, or a larger change with --tol",
    "likelihood_decreased": "the log-likelihood fell, which rounding errors or --reg-covar can "
    "cause; bring the columns to one scale, or change --reg-covar",
}


def outcome(model: Any) -> str:
    """Say in words whether and why the fit stopped."""
    n = model.n_iter_
    iterations = "1 iteration" if n == 1 else f"{n} iterations"
    if model.converged_:
        return (
            f"converged in {iterations} (the rise of the log-likelihood fell below the tolerance)"
        )
    reason = _NOT_CONVERGED.get(model.stop_reason_, f"it stopped because of {model.stop_reason_}")
    return f"NOT converged after {iterations}: {reason}"


def fixed(value: float) -> str:
    """Write a log-likelihood or a criterion with three decimals, or fewer digits if it is huge."""
    return f"{value:.3f}" if abs(value) < 1e12 else f"{value:.12g}"


def aligned(lines: Sequence[tuple[str, str]], width: int) -> str:
    """Align labels and texts in two columns, wrapping the texts."""
    indent = max(len(label) for label, _ in lines) + 2
    return "\n".join(
        textwrap.fill(
            text,
            max(width, indent + 30),
            initial_indent=label.ljust(indent),
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for label, text in lines
    )


def terminal_width() -> int:
    """Width to lay text out for: of the terminal, or of $COLUMNS, or 100."""
    return shutil.get_terminal_size((100, 24)).columns


def column_labels(model: Any) -> list[str]:
    """Names of the columns that the mixture was fitted on, or x1, x2, ..."""
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return [str(name) for name in names]
    return [f"x{i + 1}" for i in range(model.means_.shape[1])]


def component_table(model: Any, sizes: NDArray[np.intp] | None, width: int) -> str:
    """Lay out the components: weight, size, mean and, where it fits, standard deviation.

    Parameters
    ----------
    model : fitted mixture
        Components are numbered from 0, as `predict` numbers them.
    sizes : ndarray of shape (n_components,), or None
        Rows assigned to each component; left out if None.
    width : int
        Width of a line in characters.

    Returns
    -------
    str
        The table; too many columns for one line continue in blocks below one another.
    """
    labels = column_labels(model)[:_MAX_COLUMNS]
    left = [_cells("component", [str(k) for k in range(len(model.weights_))])]
    left.append(_cells("weight", [f"{weight:.4f}" for weight in model.weights_]))
    if sizes is not None:
        left.append(_cells("rows", [str(size) for size in sizes]))
    sds = _standard_deviations(model)
    decimals = [_decimals(model.means_[:, j], sds, j) for j in range(len(labels))]
    means = [
        _cells(label, [_number(mean, decimals[j]) for mean in model.means_[:, j]])
        for j, label in enumerate(labels)
    ]
    title = "Components: mean of each column"
    columns = means
    if sds is not None:
        both = [
            _cells(
                label,
                [
                    f"{_number(mean, decimals[j])} ({_number(sd, decimals[j])})"
                    for mean, sd in zip(model.means_[:, j], sds[:, j], strict=True)
                ],
            )
            for j, label in enumerate(labels)
        ]
        if _line_width([*left, *both]) <= width:
            columns = both
            title = "Components: mean (and standard deviation) of each column"
    text = title + "\n" + "\n\n".join(_blocks(left, columns, width))
    hidden = model.means_.shape[1] - len(labels)
    return text + (f"\n(and {hidden} more columns)" if hidden else "")


def _standard_deviations(model: Any) -> NDArray[np.float64] | None:
    k, d = model.means_.shape
    if k * d * d > _MAX_MATRIX_ENTRIES:
        return None
    matrices = COVARIANCES[model.covariance_type].matrices(model.covariances_, k, d)
    variances: NDArray[np.float64] = np.diagonal(matrices, axis1=1, axis2=2)
    return np.sqrt(variances)


def _decimals(means: NDArray[Any], sds: NDArray[Any] | None, column: int) -> int | None:
    """Decimals that show three digits of the smallest spread; None asks for exponents."""
    spread = np.ptp(means) if sds is None else sds[:, column].min()
    largest = float(np.abs(means).max())
    if not spread > 0:
        spread = largest or 1.0
    decimals = max(0, 2 - math.floor(math.log10(float(spread))))
    return None if decimals > 6 or largest >= 1e10 else decimals


def _number(value: float, decimals: int | None) -> str:
    return f"{value:.5g}" if decimals is None else f"{value:.{decimals}f}"


def _cells(header: str, values: list[str]) -> list[str]:
    """Bring a column of the table to one width, aligned to the right."""
    width = max(len(cell) for cell in (header, *values))
    return [cell.rjust(width) for cell in (header, *values)]


def _line_width(columns: list[list[str]]) -> int:
    return sum(len(column[0]) + 2 for column in columns) - 2


def _blocks(left: list[list[str]], columns: list[list[str]], width: int) -> list[str]:
    """Cut a table that is too wide into blocks, each of which repeats the component's number."""
    blocks: list[str] = []
    while columns:
        n = 1
        while n < len(columns) and _line_width([*left, *columns[: n + 1]]) <= width:
            n += 1
        rows = zip(*left, *columns[:n], strict=True)
        blocks.append("\n".join("  ".join(row) for row in rows))
        columns = columns[n:]
        left = left[:1]
    return blocks
