"""What the programs do in a hard case: the data, the fit, and the figure it comes down to.

Most data are two clusters so far apart that no row can belong to both: the maximum likelihood then
has a closed form, the moments of each cluster, and every program finds it from any sensible start.
Each task is called as ``task(program, structure)`` and returns its figure, or raises what the
program raises.
"""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hard.programs import Array, Fitted, Program
from benchmarks.numpy_twin import Parameters, mean_log_likelihood
from benchmarks.peers import NotOfferedError

Task = Callable[[Program, str], float]
ROOT = Path(__file__).parent.parent.parent


# --- data -----------------------------------------------------------------------------------------


def clusters(
    rows: int = 600, features: int = 2, gap: float = 20.0, scale: float = 1.0
) -> tuple[Array, Array]:
    """Draw two clusters of unit variance, `gap` apart in every feature, in turn; and labels."""
    X = np.random.default_rng(0).standard_normal((rows, features))
    labels = np.arange(rows) % 2
    X[labels == 1] += gap
    return X * scale, labels


def faithful() -> Array:
    """The Old Faithful geyser, (272, 2)."""
    return np.loadtxt(ROOT / "examples" / "faithful.csv", delimiter=",", skiprows=1)


def overlapping(rows: int, features: int, K: int) -> Array:
    """Draw K overlapping clusters of different variances."""
    rng = np.random.default_rng(1)
    labels = rng.integers(K, size=rows)
    means = 2.0 * rng.standard_normal((K, features))
    deviations = rng.uniform(0.5, 2.0, (K, features))
    return means[labels] + deviations[labels] * rng.standard_normal((rows, features))


# --- figures --------------------------------------------------------------------------------------


def variances_wrong(fitted: Fitted, X: Array, labels: Array, structure: str) -> float:
    """Return the largest relative error of a variance, against the moments of labelled rows.

    The components are matched by the order of their means in the first feature. Components that are
    one too many (for an outlier) are left out: the `K` smallest in that order count.
    """
    X = X.astype(np.float64)
    groups = [X[labels == k] for k in range(labels.max() + 1)]
    shares = [len(group) / len(X) for group in groups]
    expected = np.array([np.cov(group, rowvar=False, bias=True) for group in groups])
    if structure == "tied":
        expected[:] = np.einsum("k,kij->ij", shares, expected)
    elif structure == "spherical":
        expected = np.array([np.trace(one) / len(one) * np.eye(len(one)) for one in expected])
    order = np.argsort(fitted.means[:, 0])[: len(groups)]
    found = fitted.covariances[order].diagonal(axis1=1, axis2=2)
    wanted = expected.diagonal(axis1=1, axis2=2)
    if not np.isfinite(found).all() or not np.isfinite(fitted.weights).all():
        return float("nan")
    return float(np.abs(found / wanted - 1.0).max())


def moments(dtype: str = "float64", offset: float = 0.0, scale: float = 1.0) -> Task:
    """Fit two clusters, shifted or scaled; the error of the variances."""

    def do(program: Program, structure: str) -> float:
        X, labels = clusters()
        moved = (X * scale + offset).astype(dtype)
        # the moments of the rows as they are stored, centred without loss
        centred = (moved.astype(np.longdouble) - offset) / scale
        fitted = program.fit(moved, 2, structure)
        fitted.covariances = fitted.covariances / scale / scale
        return variances_wrong(fitted, centred, labels, structure)

    return do


def unix_times(program: Program, structure: str) -> float:
    """Two visits, an hour apart, in seconds since 1970; the worst standard deviation."""
    X, labels = clusters()
    X = X * 60.0
    X[labels == 1] += 2400.0
    fitted = program.fit(X + 1.7e9, 2, structure)
    error = variances_wrong(fitted, X, labels, structure)
    return 60.0 * float(np.sqrt(1.0 + error))


def constant_column(program: Program, structure: str) -> float:
    X, labels = clusters(features=3)
    X[:, 2] = 5.0
    return _first_two(program.fit(X, 2, structure), X, labels)


def collinear(program: Program, structure: str) -> float:
    X, labels = clusters(features=3)
    X[:, 2] = X[:, 0] + X[:, 1]
    return _first_two(program.fit(X, 2, structure), X, labels)


def _first_two(fitted: Fitted, X: Array, labels: Array) -> float:
    fitted.covariances = fitted.covariances[:, :2, :2]
    return variances_wrong(fitted, X[:, :2], labels, "full")


def few_rows(program: Program, structure: str) -> float:
    """More columns than rows; how far the first means are off."""
    X, labels = clusters(20, 50)
    fitted = program.fit(X, 2, structure)
    means = np.sort(fitted.means[:, 0])
    expected = [X[labels == k, 0].mean() for k in range(2)]
    return float(np.abs(means - expected).max())


def identical(program: Program, structure: str) -> float:
    fitted = program.fit(np.full((100, 2), [3.0, 4.0]), 3, structure)
    return float(fitted.weights.max()) if np.isfinite(fitted.covariances).all() else float("nan")


def duplicates(**asked: Any) -> Task:
    """300 normal rows and five copies of one row far away; the smallest standard deviation."""

    def do(program: Program, structure: str) -> float:
        X = np.random.default_rng(2).standard_normal((305, 2))
        X[300:] = 10.0
        fitted = program.fit(X, 2, structure, **asked)
        return float(np.sqrt(np.linalg.eigvalsh(fitted.covariances).min()))

    return do


def outlier(distance: float) -> Task:
    """Two clusters and one far row, three components; the error of the clusters' variances."""

    def do(program: Program, structure: str) -> float:
        X, labels = clusters()
        fitted = program.fit(np.vstack([X, [[distance, distance]]]), 3, structure)
        return variances_wrong(fitted, X, labels, structure)

    return do


def far_row(distance: float) -> Task:
    """Probabilities of a row far from all; by how much they miss those in extended precision."""

    def do(program: Program, structure: str) -> float:
        X, _ = clusters()
        query = np.array([[distance, 0.5 * distance]])
        fitted = program.fit(X, 2, structure, query=query)
        squares = []
        for mean, matrix in zip(fitted.means, fitted.covariances, strict=True):
            (a, b), (_, c) = matrix.astype(np.longdouble)
            u, v = query[0].astype(np.longdouble) - mean
            squares.append((c * u * u - 2 * b * u * v + a * v * v) / (a * c - b * b))
        expected = np.zeros(2)
        expected[int(np.argmin(squares))] = 1.0  # by a margin of more than 1e10 nats
        proba = fitted.proba
        return float("nan") if proba is None else float(np.abs(proba[0] - expected).max())

    return do


def nan_in_data(program: Program, structure: str) -> float:
    X, _ = clusters()
    X[17, 1] = np.nan
    return float(program.fit(X, 2, structure).weights.max())


def too_few(program: Program, structure: str) -> float:
    X, _ = clusters(3)
    return float(program.fit(X, 5, structure).weights.max())


def lost_restart(program: Program, structure: str) -> float:
    """A row at 1e155: a start without it as a centre overflows, one with it does not."""
    X, labels = clusters(8)
    far = np.vstack([X, [[1e155, 1e155]]])
    fitted = program.fit(far, 3, structure, n_init=100, scatter=True)
    return variances_wrong(fitted, X, labels, structure)


def row_weights(program: Program, structure: str) -> float:
    X, labels = clusters()
    weights = np.arange(600) // 2 % 4
    fitted = program.fit(X, 2, structure, weights=weights.astype(float))
    return variances_wrong(fitted, X.repeat(weights, axis=0), labels.repeat(weights), structure)


def interrupted(program: Program, structure: str) -> float:
    """Ctrl-C in a long fit; the seconds until it is heard, or inf if a model is left."""
    after = 4.0
    program.fit(clusters()[0], 2)  # what a first fit loads is not to be interrupted
    fit, predict = program.long_fit(overlapping(50_000, 8, 16), 16)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, after)
    begin = time.perf_counter()
    try:
        fit()
    except KeyboardInterrupt:
        late = time.perf_counter() - begin - after
    else:
        raise NotOfferedError("a fit that lasts")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    try:
        predict()
    except Exception:
        return late
    return float("inf")  # a half-trained model that predicts


def forked(program: Program, structure: str) -> float:
    """Fit with two threads, fork, fit again in the child; the child's exit status."""
    X = overlapping(20_000, 8, 4)
    program.fit(X, 4, structure, threads=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        program.fit(X, 4, structure, threads=2)
        os._exit(0)
    return float(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def same_bits(program: Program, structure: str) -> float:
    """The largest relative difference of a mean between one thread and two."""
    X = overlapping(30_000, 8, 5)
    fits = (program.fit(X, 5, structure, threads=threads).means for threads in (1, 2))
    one, two = (means[means[:, 0].argsort()] for means in fits)
    return float((np.abs(one - two) / np.abs(one)).max())


def optimum(**asked: Any) -> Task:
    """Old Faithful, three components with one covariance: the log-likelihood reached."""

    def do(program: Program, structure: str) -> float:
        X = faithful()
        found = program.fit(X, 3, structure, **asked)
        parameters = Parameters(found.weights, found.means, found.covariances[0])
        return len(X) * mean_log_likelihood(X, structure, parameters)

    return do


def largest_fall(program: Program, structure: str) -> float:
    """The largest fall of the mean log-likelihood in one iteration, at data scale 1e-3."""
    X = 1e-3 * overlapping(500, 3, 4)
    trace = np.array(program.fit(X, 4, structure, trace=True).trace)
    return max(0.0, float(-np.diff(trace).min()))


# --- measurements, not judged ---------------------------------------------------------------------


def seconds(rows: int, features: int, K: int) -> Task:
    """Time a default fit: the best of three, where they are short."""

    def do(program: Program, structure: str) -> float:
        X = overlapping(rows, features, K)
        times: list[float] = []
        while len(times) < 3 and sum(times) < 2.0:
            begin = time.perf_counter()
            fitted = program.fit(X, K, structure)
            took = time.perf_counter() - begin
            times.append(fitted.extra.get("seconds", took))
        return min(times)

    return do


def peak_memory(program: Program, structure: str) -> float:
    """MiB that a fit takes at most beyond the rows; three iterations where they can be limited."""
    X = np.empty((1_000_000, 32))
    rng = np.random.default_rng(0)
    for chunk in np.split(X, 100):
        rng.standard_normal(out=chunk)
        chunk += 4.0 * rng.integers(4, size=(len(chunk), 1))
    before = _status("VmRSS")
    asked = {"max_iter": 3} if "max_iter" in program.offers else {}
    fitted = program.fit(X, 4, structure, **asked)
    if "rss" in fitted.extra:
        before, peak = fitted.extra["rss"]
    else:
        peak = _status("VmHWM")
    return float(peak - before) / 1024.0


def _status(name: str) -> float:
    """A field of this process's status, in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return float(line.split()[1])
    raise NotOfferedError("/proc")
