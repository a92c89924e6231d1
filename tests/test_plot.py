"""Pictures: what is drawn is where it should be."""

import io
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from fastem import GaussianMixture
from fastem.covariances import COVARIANCES
from fastem.exceptions import MissingDependencyError
from fastem.plot import image_types, plot_mixture

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.colors import to_hex  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Ellipse  # noqa: E402


def draw(figure):
    """Pixels of the figure; drawing also lays it out."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=50)
    buffer.seek(0)
    return matplotlib.image.imread(buffer)


def blobs(n_features, n_components=3, n=300, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=5.0, size=(n_components, n_features))
    mixing = rng.normal(size=(n_components, n_features, n_features))
    parts = np.array_split(np.arange(n), n_components)
    return np.concatenate(
        [
            centre + rng.normal(size=(len(part), n_features)) @ matrix
            for centre, matrix, part in zip(centres, mixing, parts, strict=True)
        ]
    )


def fitted(X, n_components=3, **parameters):
    parameters = {"random_state": 0, "reg_covar": 1e-9, **parameters}
    return GaussianMixture(n_components, **parameters).fit(X)


def ellipses(axes):
    return [patch for patch in axes.patches if isinstance(patch, Ellipse)]


def scatter_axes(figure):
    return [axes for axes in figure.axes if ellipses(axes)]


def legend_texts(figure):
    legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def trace_axes(figure):
    every = [child for axes in figure.axes for child in (axes, *axes.child_axes)]
    return [axes for axes in every if axes.get_xlabel() == "iteration"]


def boundary(ellipse):
    """Points on an ellipse, in data coordinates."""
    path = ellipse.get_path().vertices
    return ellipse.get_patch_transform().transform(path)


def assert_on_contour(ellipse, mean, covariance, sds):
    """Every point of the curve is `sds` standard deviations from the mean."""
    offset = boundary(ellipse) - mean
    distance = np.sqrt(np.einsum("ni,ij,nj->n", offset, np.linalg.inv(covariance), offset))
    # Control points of the Bezier curves that approximate a circle lie slightly outside.
    on_curve = distance[::3]
    assert_allclose(on_curve, sds, rtol=1e-4)


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_two_columns(covariance_type):
    X = blobs(2)
    model = fitted(X, covariance_type=covariance_type)
    figure = plot_mixture(model, X)
    assert isinstance(figure, Figure)
    (axes,) = scatter_axes(figure)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x1", "x2")
    (points,) = axes.collections
    assert_array_equal(points.get_offsets(), X)
    matrices = COVARIANCES[covariance_type].matrices(model.covariances_, 3, 2)
    curves = ellipses(axes)
    assert len(curves) == 6
    for k in range(3):
        for sds in (1, 2):
            assert_on_contour(curves[2 * k + sds - 1], model.means_[k], matrices[k], sds)
    markers = [line.get_xydata()[0] for line in axes.lines]
    assert_array_equal(markers, model.means_)
    weights = [f"{k}: {weight:.3f}" for k, weight in enumerate(model.weights_)]
    assert legend_texts(figure) == [*weights, "1 sd", "2 sd"]


def test_points_have_the_colour_of_their_component():
    X = blobs(2)
    model = fitted(X)
    figure = plot_mixture(model, X)
    draw(figure)
    (axes,) = scatter_axes(figure)
    colours = np.array([to_hex(colour) for colour in axes.collections[0].get_facecolors()])
    edges = [to_hex(curve.get_edgecolor()) for curve in ellipses(axes)][::2]
    assert len(set(edges)) == 3
    assert_array_equal(colours, np.array(edges)[model.predict(X)])


def test_trace_is_the_log_likelihood():
    X = blobs(2, seed=4)
    model = fitted(X, tol=1e-9, init_params="random")
    assert len(model.lower_bounds_) > 5
    (axes,) = trace_axes(plot_mixture(model, X))
    iterations, values = axes.lines[0].get_data()
    assert_array_equal(iterations, np.arange(1, model.n_iter_ + 1))
    assert_array_equal(values, model.lower_bounds_)


@pytest.mark.parametrize("n_features", [1, 2, 4])
def test_without_a_trace(n_features):
    X = blobs(n_features)
    model = fitted(X)
    model.lower_bounds_ = model.lower_bounds_[:1]
    figure = plot_mixture(model, X)
    draw(figure)
    assert trace_axes(figure) == []
    del model.lower_bounds_
    assert trace_axes(plot_mixture(model, X)) == []


def test_one_column():
    X = blobs(1, seed=2)
    model = fitted(X)
    figure = plot_mixture(model, X, feature_names=["height"])
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("height", "density")
    heights = np.array([bar.get_height() for bar in axes.patches])
    widths = np.array([bar.get_width() for bar in axes.patches])
    assert_allclose((heights * widths).sum(), 1.0)
    total, *parts = axes.lines
    assert len(parts) == 3
    x = total.get_xdata()
    assert_allclose(total.get_ydata(), np.exp(model.score_samples(x[:, np.newaxis])), rtol=1e-8)
    assert_allclose(sum(line.get_ydata() for line in parts), total.get_ydata())
    assert legend_texts(figure)[-1] == "mixture"


def test_a_narrow_peak_is_not_missed():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=200) * 1000.0, rng.normal(size=200) * 0.01])[:, np.newaxis]
    model = fitted(X, 2, means_init=[[0.0], [0.0]], precisions_init=[[[1e-6]], [[1e4]]])
    k = int(model.covariances_.argmin())
    peak = float(model.weights_[k] / np.sqrt(2 * np.pi * model.covariances_[k].item()))
    figure = plot_mixture(model, X)
    assert figure.axes[0].lines[0].get_ydata().max() >= 0.99 * peak


@pytest.mark.filterwarnings("ignore::fastem.exceptions.DegenerateDataWarning")
def test_an_outlier_does_not_ask_for_a_million_bins():
    X = np.concatenate([blobs(1), [[1e9]]])
    figure = plot_mixture(fitted(X, 2), X)
    assert len(figure.axes[0].patches) <= 80


@pytest.mark.parametrize("n_features", [3, 4, 5])
def test_grid_of_pairs(n_features):
    X = blobs(n_features)
    model = fitted(X)
    figure = plot_mixture(model, X)
    draw(figure)
    pairs = scatter_axes(figure)
    places = [(j, i) for i in range(n_features) for j in range(i)]
    for axes, (j, i) in zip(pairs, places, strict=True):
        columns = np.ix_([j, i], [j, i])
        assert_array_equal(axes.collections[0].get_offsets(), X[:, [j, i]])
        assert_on_contour(
            ellipses(axes)[1], model.means_[0, [j, i]], model.covariances_[0][columns], 2
        )
        # Labels stand at the left and at the bottom only.
        assert axes.get_ylabel() == (f"x{i + 1}" if j == 0 else "")
        assert axes.get_xlabel() == (f"x{j + 1}" if i == n_features - 1 else "")
    marginals = [axes for axes in figure.axes if axes.patches and not ellipses(axes)]
    assert len(marginals) == n_features
    for i, axes in enumerate(marginals):
        x, density = axes.lines[0].get_data()
        sds = np.sqrt(model.covariances_[:, i, i])
        z = (x[:, np.newaxis] - model.means_[:, i]) / sds
        expected = (model.weights_ / sds * np.exp(-(z**2) / 2)).sum(axis=1) / np.sqrt(2 * np.pi)
        assert_allclose(density, expected, rtol=1e-10, atol=1e-300)
    for row in range(1, n_features):
        limits = {axes.get_ylim() for axes, (_, i) in zip(pairs, places, strict=True) if i == row}
        assert len(limits) == 1


def test_many_columns_are_projected():
    X = blobs(8, n=500) * 10.0 ** np.arange(-4, 4) + 1000.0
    model = fitted(X, covariance_type="diag", reg_covar=1e-12)
    figure = plot_mixture(model, X)
    (axes,) = scatter_axes(figure)
    scaler = StandardScaler().fit(X)
    pca = PCA(2).fit(scaler.transform(X))
    share = pca.explained_variance_ratio_
    assert axes.get_xlabel() == f"principal axis 1 ({share[0]:.0%} of variance)"
    assert axes.get_ylabel() == f"principal axis 2 ({share[1]:.0%} of variance)"
    points = np.asarray(axes.collections[0].get_offsets())
    expected = pca.transform(scaler.transform(X))
    signs = np.sign((points * expected).sum(axis=0))  # the signs of the axes are a convention
    assert_allclose(points, expected * signs, atol=1e-8)
    projection = (pca.components_ * signs[:, np.newaxis] / scaler.scale_).T
    for k in range(3):
        mean = (model.means_[k] - scaler.mean_) @ projection
        covariance = projection.T @ np.diag(model.covariances_[k]) @ projection
        assert_on_contour(ellipses(axes)[2 * k + 1], mean, covariance, 2)


@pytest.mark.filterwarnings("ignore::fastem.exceptions.DegenerateDataWarning")
def test_constant_columns_and_few_points_are_drawn():
    X = np.zeros((3, 7))
    X[:, 0] = [1.0, 2.0, 4.0]
    model = fitted(X, 1, reg_covar=1e-6)
    for rows in (X, X[:1]):
        (axes,) = scatter_axes(plot_mixture(model, rows))
        assert np.isfinite(np.asarray(axes.collections[0].get_offsets())).all()
    model = fitted(X[:, :1], 1)
    draw(plot_mixture(model, X[:1, :1]))
    draw(plot_mixture(fitted(X[:, :3], 1, reg_covar=1e-6), X[:, :3]))


def test_large_data_are_sampled_the_same_way_each_time():
    X = blobs(2, n=5000)
    model = fitted(X)

    def offsets(**kwargs):
        (axes,) = scatter_axes(plot_mixture(model, X, **kwargs))
        return np.asarray(axes.collections[0].get_offsets())

    first = offsets(max_points=1000)
    assert first.shape == (1000, 2)
    assert len(np.unique(first, axis=0)) == 1000
    assert {tuple(row) for row in first} <= {tuple(row) for row in X}
    assert_array_equal(first, offsets(max_points=1000))
    assert not np.array_equal(first, offsets(max_points=1000, random_state=1))
    assert_array_equal(offsets(max_points=5000), X)


def test_the_same_picture_each_time():
    X = blobs(3)
    model = fitted(X)
    assert_array_equal(draw(plot_mixture(model, X)), draw(plot_mixture(model, X)))


def test_names_of_columns():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(blobs(2, n=3000), columns=["length", "width"])
    (axes,) = scatter_axes(plot_mixture(fitted(frame), frame, max_points=100))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("length", "width")
    model = fitted(frame.to_numpy())
    (axes,) = scatter_axes(plot_mixture(model, frame.to_numpy(), feature_names=["a", "b"]))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a", "b")


@pytest.mark.parametrize(("n_components", "n_entries"), [(7, 9), (10, 12), (11, 0)])
def test_many_components(n_components, n_entries):
    X = blobs(2, n_components)
    figure = plot_mixture(fitted(X, n_components), X)
    draw(figure)
    assert len(legend_texts(figure)) == n_entries
    (axes,) = scatter_axes(figure)
    assert len({to_hex(curve.get_edgecolor()) for curve in ellipses(axes)}) == n_components


def test_nothing_is_drawn_over_the_edge():
    X = blobs(3)
    figure = plot_mixture(fitted(X), X)
    pixels = draw(figure)[..., :3]
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 1.0).all()
    assert (pixels.min(axis=2) < 0.9).mean() > 0.02  # and something is drawn inside


def test_a_given_figure_is_used():
    X = blobs(2)
    figure = Figure(figsize=(3, 2))
    assert plot_mixture(fitted(X), X, figure=figure) is figure
    assert tuple(figure.get_size_inches()) == (3, 2)


def test_wrong_arguments():
    X = blobs(2)
    model = fitted(X)
    with pytest.raises(ValueError, match="X has 3 columns, but the model was fitted on 2"):
        plot_mixture(model, blobs(3))
    with pytest.raises(ValueError, match=r"reshape a single column with X.reshape\(-1, 1\)"):
        plot_mixture(model, X[:, 0])
    with pytest.raises(ValueError, match="feature_names must hold 2 names, not 1"):
        plot_mixture(model, X, feature_names=["a"])
    with pytest.raises(ValueError, match="max_points must be at least 1"):
        plot_mixture(model, X, max_points=0)


def test_matplotlib_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backend_bases", None)
    X = blobs(2)
    model = fitted(X)
    for call in (lambda: plot_mixture(model, X), image_types):
        with pytest.raises(MissingDependencyError, match=r"pip install 'fastem\[plot\]'"):
            call()


WITHOUT_PYPLOT = """
import sys
import fastem.plot
assert "matplotlib" not in sys.modules, "importing fastem.plot imports matplotlib"
import numpy as np
X = np.random.default_rng(0).normal(size=(50, 3))
figure = fastem.plot.plot_mixture(fastem.GaussianMixture(2, random_state=0).fit(X), X)
figure.savefig("picture.png")
assert "matplotlib.pyplot" not in sys.modules, "drawing imports pyplot"
"""


def test_pyplot_is_not_touched(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYPLOT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stderr == ""
    assert (tmp_path / "picture.png").stat().st_size > 10_000
