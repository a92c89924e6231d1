"""Pictures of fitted mixtures: data, components and the course of the fit.

matplotlib is needed (``pip install 'fastem[plot]'``).  Figures are built without pyplot: nothing is
shown, no global state changes, and any backend can draw them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .covariances import COVARIANCES
from .exceptions import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["image_types", "plot_mixture"]

FloatArray = NDArray[np.float64]

# Okabe and Ito (2008), without black: told apart with every common colour-vision deficiency.
_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
_MAX_GRID = 5  # more columns than this are projected on two principal axes
_MAX_LEGEND = 10
_INK = "#333333"
_RINGS: tuple[tuple[int, Any], ...] = (
    (1, "-"),
    (2, "--"),
)  # standard deviations of the ellipses, and their lines


@dataclass(frozen=True)
class _View:
    """What is drawn: points and Gaussian components in the coordinates of the picture."""

    points: FloatArray  # (n, D)
    components: NDArray[np.intp]  # (n,), the most probable component of every point
    weights: FloatArray  # (K,)
    means: FloatArray  # (K, D)
    covariances: FloatArray  # (K, D, D)
    labels: list[str]  # (D,)
    colours: list[Any]  # (K,)


def plot_mixture(
    model: Any,
    X: ArrayLike,
    *,
    feature_names: Sequence[str] | None = None,
    max_points: int = 20_000,
    random_state: int = 0,
    figure: Figure | None = None,
) -> Figure:
    """Draw data with the components of a mixture.

    One column gives a histogram with the density of the mixture and of its components; two give a
    scatter plot with ellipses at 1 and 2 standard deviations; three to five give one scatter plot
    for every pair, with the marginal densities on the diagonal.  More columns are brought to unit
    variance and projected on their first two principal axes.  A small panel shows the
    log-likelihood over the iterations, where the model has kept it.

    Parameters
    ----------
    model : fitted Gaussian mixture
        An estimator such as `fastem.GaussianMixture`.
    X : array-like of shape (n_samples, n_features)
        The data to draw.
    feature_names : sequence of str, optional
        Labels of the axes; by default the names of the columns, or x1, x2, ...
    max_points : int, default 20000
        Of more rows than this, a random sample of this size is drawn.
    random_state : int, default 0
        Seed of that sample: the same data give the same picture.
    figure : matplotlib.figure.Figure, optional
        Where to draw; by default a new figure of suitable size.

    Returns
    -------
    matplotlib.figure.Figure
        The figure; ``figure.savefig("mixture.png")`` writes it.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    TypeError
        If the model is not a fitted Gaussian mixture.
    ValueError
        If the model was fitted on another number of columns, or the names do not match them.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise _missing(error) from error
    view = _view(model, X, feature_names, max_points, random_state)
    trace = np.asarray(getattr(model, "lower_bounds_", ()), dtype=np.float64)
    n_dims = len(view.labels)
    if figure is None:
        size = {1: (8.0, 3.8), 2: (8.0, 4.8)}.get(n_dims, (2.3 * n_dims, 2.1 * n_dims))
        figure = Figure(figsize=size, layout="constrained")
    if n_dims > 2:
        legend, panel = _draw_pairs(figure, view)
    else:
        grid = figure.add_gridspec(2, 2, width_ratios=[3, 1], height_ratios=[1.2, 1])
        axes = figure.add_subplot(grid[:, 0])
        if n_dims == 1:
            _draw_density(axes, view, 0)
            axes.set_ylabel("density")
        else:
            _draw_scatter(axes, view, 0, 1)
            axes.set_ylabel(view.labels[1])
        axes.set_xlabel(view.labels[0])
        legend, panel = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
    _draw_legend(legend, view)
    _draw_trace(panel, trace)
    return figure


def image_types() -> list[str]:
    """List the extensions of image files that matplotlib writes.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise _missing(error) from error
    return sorted(FigureCanvasBase.get_supported_filetypes())


def _missing(error: ImportError) -> MissingDependencyError:
    return MissingDependencyError(
        f"plotting needs matplotlib, which cannot be imported ({error}): install it with "
        "pip install 'fastem[plot]'"
    )


# --------------------------------------------------------------------------------------------------
# What to draw


def _view(
    model: Any, X: ArrayLike, names: Sequence[str] | None, max_points: int, random_state: int
) -> _View:
    """Sample the points, assign them, and project everything if there are many columns."""
    if max_points < 1:
        raise ValueError(f"max_points must be at least 1, not {max_points}")
    n_rows, n_columns = _shape(X)
    if not hasattr(model, "means_"):
        raise TypeError(
            f"a {type(model).__name__} cannot be drawn: it has no means_ and covariances_, as a "
            "fitted GaussianMixture has. exp(score_samples) is the density of any mixture"
        )
    n_components, n_features = model.means_.shape
    if n_columns != n_features:
        raise ValueError(f"X has {n_columns} columns, but the model was fitted on {n_features}")
    labels = _labels(model, X, names, n_features)
    rows: Any = X
    if n_rows > max_points:
        chosen = np.random.default_rng(random_state).choice(n_rows, max_points, replace=False)
        chosen.sort()
        # A data frame stays one, so that the model can check the names of its columns.
        rows = rows.iloc[chosen] if hasattr(rows, "iloc") else np.asarray(rows)[chosen]
    view = _View(
        points=np.asarray(rows, dtype=np.float64),
        components=np.asarray(model.predict(rows)),
        weights=np.asarray(model.weights_, dtype=np.float64),
        means=np.asarray(model.means_, dtype=np.float64),
        covariances=np.asarray(
            COVARIANCES[model.covariance_type].matrices(
                model.covariances_, n_components, n_features
            ),
            dtype=np.float64,
        ),
        labels=labels,
        colours=_colours(n_components),
    )
    return view if n_features <= _MAX_GRID else _project(view)


def _shape(X: ArrayLike) -> tuple[int, int]:
    shape = np.shape(X)
    if len(shape) != 2:
        raise ValueError(
            f"X must have 2 dimensions (rows, columns), not {len(shape)}; reshape a single column "
            "with X.reshape(-1, 1)"
        )
    return shape


def _labels(model: Any, X: Any, names: Sequence[str] | None, n_features: int) -> list[str]:
    if names is None:
        names = getattr(model, "feature_names_in_", getattr(X, "columns", None))
    if names is None:
        return [f"x{i + 1}" for i in range(n_features)]
    if len(names) != n_features:
        raise ValueError(f"feature_names must hold {n_features} names, not {len(names)}")
    return [str(name) for name in names]


def _colours(n_components: int) -> list[Any]:
    if n_components <= len(_PALETTE):
        return list(_PALETTE[:n_components])
    from matplotlib import colormaps

    # Up to 0.92 only: the yellow end is too pale on white.
    return list(colormaps["viridis"](np.linspace(0.0, 0.92, n_components)))


def _project(view: _View) -> _View:
    """Project on the first two principal axes of the columns brought to unit variance."""
    centre = view.points.mean(axis=0)
    scale = view.points.std(axis=0)
    scale[scale == 0.0] = 1.0
    scaled = (view.points - centre) / scale
    # The row of zeros changes no axis, and leaves two even where there is one point.
    _, singular, axes = np.linalg.svd(
        np.vstack([scaled, np.zeros_like(centre)]), full_matrices=False
    )
    # The sign of a singular vector is arbitrary: its largest entry is made positive.
    axes = axes[:2] * np.sign(axes[[0, 1], np.abs(axes[:2]).argmax(axis=1)])[:, np.newaxis]
    shares = singular[:2] ** 2 / max(float((singular**2).sum()), np.finfo(float).tiny)
    projection = (axes / scale).T  # (D, 2)
    return _View(
        points=scaled @ axes.T,
        components=view.components,
        weights=view.weights,
        means=(view.means - centre) @ projection,
        covariances=projection.T @ view.covariances @ projection,
        labels=[
            f"principal axis {i + 1} ({share:.0%} of variance)" for i, share in enumerate(shares)
        ],
        colours=view.colours,
    )


# --------------------------------------------------------------------------------------------------
# Drawing


def _draw_scatter(axes: Axes, view: _View, x: int, y: int, scale: float = 1.0) -> None:
    """Draw points, ellipses at 1 and 2 standard deviations, and means, in columns x and y.

    Points, lines and markers are drawn at `scale` times their full size.
    """
    from matplotlib.patches import Ellipse
    from matplotlib.patheffects import withStroke

    n = len(view.points)
    colours = np.array([_rgba(colour) for colour in view.colours])
    axes.scatter(
        view.points[:, x],
        view.points[:, y],
        s=scale * float(np.clip(5000 / n, 3, 18)),
        c=colours[view.components],
        alpha=float(np.clip(40 / np.sqrt(n), 0.2, 0.6)),
        linewidths=0,
        rasterized=True,  # thousands of points make a vector file huge
    )
    halo = [withStroke(linewidth=3.2 * scale, foreground="white")]
    for mean, covariance, colour in zip(view.means, view.covariances, view.colours, strict=True):
        variances, directions = np.linalg.eigh(covariance[np.ix_([x, y], [x, y])])
        width, height = 2.0 * np.sqrt(np.maximum(variances, 0.0))
        angle = np.degrees(np.arctan2(directions[1, 0], directions[0, 0]))
        for sds, style in _RINGS:
            ellipse = Ellipse(
                (mean[x], mean[y]),
                sds * width,
                sds * height,
                angle=angle,
                fill=False,
                edgecolor=colour,
                linestyle=style,
                linewidth=1.8 * scale,
                path_effects=halo,
            )
            axes.add_patch(ellipse)
        axes.plot(
            mean[x],
            mean[y],
            "o",
            markersize=7 * scale,
            color=colour,
            markeredgecolor="white",
            markeredgewidth=scale,
            zorder=3,
        )
    axes.autoscale_view()
    axes.spines[["top", "right"]].set_visible(False)


def _rgba(colour: Any) -> tuple[float, float, float, float]:
    from matplotlib.colors import to_rgba

    return to_rgba(colour)


def _draw_density(axes: Axes, view: _View, column: int) -> None:
    """Draw the histogram of a column, the marginal density and those of the components."""
    points = view.points[:, column]
    # A fixed rule (Rice's): those that look at the spread ask for millions of bins at an outlier.
    bins = int(np.clip(2.0 * np.cbrt(len(points)), 10, 80))
    axes.hist(points, bins=bins, density=True, color="#DDDDDD", edgecolor="white", linewidth=0.5)
    means = view.means[:, column]
    sds = np.sqrt(np.maximum(view.covariances[:, column, column], np.finfo(float).tiny))
    low, high = axes.get_xlim()
    # Dense around every mean, so that a narrow peak is not missed.
    near = means[:, np.newaxis] + sds[:, np.newaxis] * np.linspace(-4.0, 4.0, 81)
    grid = np.unique(
        np.clip(np.concatenate([np.linspace(low, high, 400), near.ravel()]), low, high)
    )
    z = (grid - means[:, np.newaxis]) / sds[:, np.newaxis]
    heights = (view.weights / (sds * np.sqrt(2.0 * np.pi)))[:, np.newaxis]
    densities = heights * np.exp(-0.5 * z**2)  # (K, n_grid)
    axes.plot(grid, densities.sum(axis=0), color=_INK, linewidth=1.2, label="mixture")
    for density, colour in zip(densities, view.colours, strict=True):
        axes.plot(grid, density, color=colour, linewidth=1.8)
    axes.set_xlim(low, high)
    axes.set_ylim(bottom=0.0)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_pairs(figure: Figure, view: _View) -> tuple[Axes, Axes]:
    """Draw every pair of columns; return the places for the legend and the trace."""
    n = len(view.labels)
    grid = figure.add_gridspec(n, n)
    diagonal: list[Axes] = []
    for row in range(n):
        first: Axes | None = None
        for column in range(row):
            axes = figure.add_subplot(grid[row, column], sharex=diagonal[column], sharey=first)
            first = first or axes
            _draw_scatter(axes, view, column, row, scale=0.6)
            axes.tick_params(labelleft=column == 0, labelbottom=row == n - 1)
            if column == 0:
                axes.set_ylabel(view.labels[row])
            if row == n - 1:
                axes.set_xlabel(view.labels[column])
        axes = figure.add_subplot(grid[row, row])
        _draw_density(axes, view, row)
        axes.set_yticks([])
        axes.tick_params(labelbottom=row == n - 1)
        if row == n - 1:
            axes.set_xlabel(view.labels[row])
        if row == 0:
            axes.set_ylabel("density")
        diagonal.append(axes)
    legend = figure.add_subplot(grid[0, n - 2])
    corner = figure.add_subplot(grid[0, n - 1])
    corner.set_axis_off()
    panel = corner.inset_axes((0.1, 0.0, 0.9, 1.0))
    # The cells around are empty: labels may reach into them, and the grid stays even.
    panel.set_in_layout(False)
    return legend, panel


def _draw_legend(axes: Axes, view: _View) -> None:
    """List the components with their weights, unless there are too many."""
    from matplotlib.lines import Line2D

    axes.set_axis_off()
    if len(view.weights) > _MAX_LEGEND:
        return
    mark: dict[str, Any] = {"linewidth": 1.8}
    if len(view.labels) > 1:
        mark = {"linestyle": "", "marker": "o", "markeredgecolor": "white", "markersize": 8}
    handles = [
        Line2D([], [], color=colour, label=f"{k}: {weight:.3f}", **mark)
        for k, (colour, weight) in enumerate(zip(view.colours, view.weights, strict=True))
    ]
    if len(view.labels) != 2:
        handles.append(Line2D([], [], color=_INK, linewidth=1.2, label="mixture"))
    if len(view.labels) > 1:
        handles += [
            Line2D([], [], color=_INK, linewidth=1.2, linestyle=style, label=f"{sds} sd")
            for sds, style in _RINGS
        ]
    axes.legend(
        handles=handles,
        title="component: weight",
        loc="upper left",
        frameon=False,
        borderaxespad=0.0,
        fontsize="small",
        title_fontsize="small",
        alignment="left",
    )


def _draw_trace(axes: Axes, trace: FloatArray) -> None:
    """Draw the log-likelihood per row over the iterations."""
    from matplotlib.ticker import MaxNLocator

    if len(trace) < 2:
        axes.set_axis_off()
        return
    axes.plot(
        np.arange(1, len(trace) + 1), trace, color=_INK, linewidth=1.2, marker=".", markersize=4
    )
    # The curve rises to the upper right; the corner below it is free.
    axes.text(
        0.97,
        0.06,
        "log-likelihood\nper row",
        transform=axes.transAxes,
        horizontalalignment="right",
        fontsize="small",
        color=_INK,
    )
    axes.set_xlabel("iteration", fontsize="small")
    axes.tick_params(labelsize="small")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.spines[["top", "right"]].set_visible(False)
