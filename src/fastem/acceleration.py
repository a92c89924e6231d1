"""Where to go instead of the next EM iterate: SQUAREM, and Anderson's mixing.

An accelerator sees points x and what an EM step makes of them, g = EM(x), as vectors without
constraints, and may propose another point. The loop of `em.run` takes it only if the likelihood
there is not lower; else it goes on from g as if nothing had been proposed. Nothing here knows of
models, data or likelihoods, and the fixed points are those of EM.

SQUAREM is the one to begin with: it gained on every slow problem of `benchmarks`, and costs next to
nothing between two E-steps.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]


class Accelerator(Protocol):
    """What the loop asks of a method."""

    def propose(self, x: FloatArray, g: FloatArray) -> FloatArray | None:
        """Where to go from x, of which an EM step makes g; None to go on to g.

        The next x is the proposal where it was accepted, and g else.
        """

    def judged(self, accepted: bool) -> None:
        """What came of the proposal."""


class Squarem:
    """Squared extrapolation (Varadhan and Roland [1]_, scheme S3).

    Two EM steps x0 -> x1 -> x2 tell of the direction r = x1 - x0 and of its change
    v = (x2 - x1) - r; then ::

        y = x0 - 2 a r + a^2 v,    a = -|r| / |v|,

    and one EM step from y, which mends what the extrapolation spoilt in other directions. a = -1
    is EM itself. It is bounded, and the bound grows when it was reached and did well, and shrinks
    when the proposal was refused.

    References
    ----------
    .. [1] Varadhan, Roland (2008), Simple and globally convergent methods for accelerating the
       convergence of any EM algorithm, Scandinavian Journal of Statistics 35, 335-353.
    """

    # Small bounds were slower in `benchmarks`: mixtures that overlap much want |a| of hundreds
    _FIRST, _LEAST = 256.0, 16.0
    _GROWTH, _SHRINKAGE = 8.0, 2.0

    def __init__(self) -> None:
        self._bound = self._FIRST
        self._at_bound = False
        self._pair: tuple[FloatArray, FloatArray] | None = None
        self._mend = False

    def propose(self, x: FloatArray, g: FloatArray) -> FloatArray | None:
        if self._mend:  # x is the extrapolated point
            self._mend = False
            return None
        pair, self._pair = self._pair, (x, g)
        if pair is None or not np.array_equal(pair[1], x):
            return None
        self._pair = None
        x0, x1 = pair
        r = x1 - x0
        v = (g - x) - r
        length, bend = float(np.linalg.norm(r)), float(np.linalg.norm(v))
        if not (bend > 0 and length < np.inf):
            return None
        a = min(max(length / bend, 1.0), self._bound)
        self._at_bound = a == self._bound
        if a == 1.0:  # the EM iterate
            return None
        return x0 + 2 * a * r + a * a * v

    def judged(self, accepted: bool) -> None:
        self._mend = accepted
        if not accepted:
            self._bound = max(self._LEAST, self._bound / self._SHRINKAGE)
        elif self._at_bound:
            self._bound *= self._GROWTH


class Anderson:
    """Anderson's mixing, damped and restarted (Henderson and Varadhan [1]_).

    With f = g - x, and the differences F and G of the last f and g, the proposal is ::

        y = g - G c,    c minimising |f - F c|^2 + s |c|^2,

    so that f is as small as these steps can make it if EM were linear. s keeps c short: `|c|^2` is
    the share 1 / (1 + 1.2^-d) of what it were without; d grows with every proposal accepted and
    shrinks with every one refused, so that bold steps are made where they did well. (They begin
    with 1.2^(25 - d), which was slower in `benchmarks`.) After as many steps as there are
    differences, 10 or half the parameters, all begins anew: old ones tell of where EM was, not of
    where it is.

    It asks less of EM than SQUAREM where there are few parameters, and where its proposals are
    good; where many are refused it gains little.

    References
    ----------
    .. [1] Henderson, Varadhan (2019), Damped Anderson acceleration with restarts and monotonicity
       control for accelerating EM and EM-like algorithms, Journal of Computational and Graphical
       Statistics 28, 834-846.
    """

    _LONGEST = 10
    _BASE = 1.2
    _FEWEST = -20

    def __init__(self) -> None:
        self._last: tuple[FloatArray, FloatArray] | None = None  # f, g
        self._of_f: list[FloatArray] = []
        self._of_g: list[FloatArray] = []
        self._did_well = 0

    def propose(self, x: FloatArray, g: FloatArray) -> FloatArray | None:
        f = g - x
        last, self._last = self._last, (f, g)
        if last is None or len(last[0]) != len(f):
            self._of_f, self._of_g = [], []
            return None
        if len(self._of_f) >= min(self._LONGEST, max(1, (len(f) + 1) // 2)):
            self._of_f, self._of_g = [], []
        self._of_f.append(f - last[0])
        self._of_g.append(g - last[1])
        differences = np.stack(self._of_f, axis=1)
        if not (np.isfinite(differences).all() and differences.any()):
            return None
        left, sizes, right = np.linalg.svd(differences, full_matrices=False)
        kept = sizes > 1e-14 * sizes[0]
        left, sizes, right = left[:, kept], sizes[kept], right[kept]
        along = left.T @ f
        share = 1 / (1 + self._BASE**-self._did_well)
        s = _damping(sizes, along, share)
        coefficients = right.T @ (sizes * along / (np.square(sizes) + s))
        proposal: FloatArray = g - np.stack(self._of_g, axis=1) @ coefficients
        return proposal

    def judged(self, accepted: bool) -> None:
        self._did_well = max(self._FEWEST, self._did_well + (1 if accepted else -2))


def _damping(sizes: FloatArray, along: FloatArray, share: float) -> float:
    """The s at which |c|^2 is this share of what it is for s = 0.

    |c|^2 falls as s grows; bisection in log s is exact enough, and cannot fail.
    """
    target = share * np.square(along / sizes).sum()
    low, high = -40.0, 20.0  # powers of e, of the largest square
    for _ in range(40):
        middle = 0.5 * (low + high)
        s = np.exp(middle) * sizes[0] ** 2
        if np.square(sizes * along / (np.square(sizes) + s)).sum() > target:
            low = middle
        else:
            high = middle
    return float(np.exp(low) * sizes[0] ** 2)


#: name -> method; the choices of `em.run` and of every estimator
ACCELERATORS: dict[str, type[Squarem] | type[Anderson]] = {
    "squarem": Squarem,
    "anderson": Anderson,
}


def accelerator(name: str | None) -> Accelerator | None:
    """The method of this name; None for None.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name is None:
        return None
    if name not in ACCELERATORS:
        names = " or ".join(map(repr, ACCELERATORS))
        raise ValueError(f"accelerate={name!r} is not known: use {names}, or None for plain EM")
    return ACCELERATORS[name]()
