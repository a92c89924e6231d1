"""Pictures of a fitted distribution: its density with the data, and quantiles against quantiles.

matplotlib is needed (``pip install 'fastem[plot]'``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from ..exceptions import MissingDependencyError
from ..families.base import Family
from .data import Data, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DATA, _FIT, _INK = "#B9C4CC", "#0072B2", "#333333"
_LEGEND = ["data", "fitted"]
_MOST_COLUMNS = 8
_MOST_POINTS = 2000
_MOST_BARS = 80


def drawn(family: Family, data: Data | None, figure: Figure | None) -> Figure:
    """One row for each column of the data; see `MaximumLikelihood.plot`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            f"plotting needs matplotlib, which cannot be imported ({error}): install it with "
            "pip install 'fastem[plot]'"
        ) from error
    name = type(family).__name__
    if data is None:
        raise ValueError(
            "there is no picture of censored data: scipy.stats.ecdf draws what is known of them, "
            "to be held against family.scipy().cdf"
        )
    if not family.univariate:
        raise ValueError(
            f"{name} is not of one variable for each column, and there is no picture of it"
        )
    if data.n_columns > _MOST_COLUMNS:
        raise ValueError(
            f"there are {data.n_columns} columns, and pictures of {_MOST_COLUMNS} at most: fit "
            "some of them"
        )
    if figure is None:
        figure = Figure(figsize=(8.0, 3.2 * data.n_columns), layout="constrained")
    members = family.members()
    grid = figure.subplots(data.n_columns, 2, squeeze=False, width_ratios=[1.6, 1])
    for j, (left, right) in enumerate(grid):
        one = members.column(j).member(0).scalar()
        x = np.asarray(data.X[:, j], dtype=np.float64)
        weights = np.ones(len(x)) if data.weights is None else data.weights
        if family.support.integer:
            _draw_masses(left, one, x, weights)
        else:
            _draw_density(left, one, x, weights)
        _draw_quantiles(right, one, x, weights)
        left.set_xlabel(f"x{j + 1}" if data.names is None else data.names[j])
        handles, labels = left.get_legend_handles_labels()
        known = dict(zip(labels, handles, strict=True))
        left.legend([known[s] for s in _LEGEND], _LEGEND, frameon=False, fontsize=9)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=9)
    grid[0][0].set_title(repr(family) if data.n_columns == 1 else name, fontsize=10, color=_INK)
    return figure


def _draw_density(axes: Axes, one: Family, x: FloatArray, weights: FloatArray) -> None:
    heights, edges = np.histogram(x, _bins(x), weights=weights, density=True)
    axes.stairs(heights, edges, fill=True, color=_DATA, label="data")
    pad = 0.05 * (edges[-1] - edges[0])
    # densities may be infinite at the ends
    places = np.linspace(edges[0] - pad, edges[-1] + pad, 801)
    density = np.exp(one.log_density(places))
    axes.plot(places, density, color=_FIT, linewidth=1.6, label="fitted")
    axes.set_ylim(0, 1.08 * max(heights.max(), np.quantile(density, 0.99)))
    axes.set_ylabel("density")


def _bins(x: FloatArray) -> Any:
    edges = np.histogram_bin_edges(x, "auto")
    return edges if len(edges) <= _MOST_BARS + 1 else _MOST_BARS


def _draw_masses(axes: Axes, one: Family, x: FloatArray, weights: FloatArray) -> None:
    low, high = float(x.min()), float(x.max())
    width = max(1, int(np.ceil((high - low + 1) / _MOST_BARS)))
    edges = np.arange(low, high + width + 1, width) - 0.5
    heights = np.histogram(x, edges, weights=weights)[0] / weights.sum()
    middles = edges[:-1] + width / 2
    axes.bar(middles, heights, width=0.8 * width, color=_DATA, label="data")
    known = one.scipy()
    masses = known.cdf(edges[1:]) - known.cdf(edges[:-1])
    axes.plot(middles, masses, "o-", color=_FIT, markersize=4, linewidth=1, label="fitted")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("probability")


def _draw_quantiles(axes: Axes, one: Family, x: FloatArray, weights: FloatArray) -> None:
    order = np.argsort(x)
    reached = (np.cumsum(weights[order]) - 0.5 * weights[order]) / weights.sum()
    if one.support.integer:
        # of equal values the middle of their ranks
        reached = (rankdata(x[order]) - 0.5) / len(x) if np.ptp(weights) == 0 else reached
    chosen = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(int))
    expected = one.scipy().ppf(reached[chosen])
    seen = x[order][chosen]
    axes.plot(expected, seen, "o", color=_FIT, markersize=3, alpha=0.6, markeredgewidth=0)
    ends = [min(expected.min(), seen.min()), max(expected.max(), seen.max())]
    axes.plot(ends, ends, color=_INK, linewidth=0.8)
    axes.set_xlabel("quantiles of the fitted distribution")
    axes.set_ylabel("quantiles of the data")
