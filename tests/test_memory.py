"""What a fit takes beyond its data, as the operating system sees it: C allocates nothing, but what
Python allocates for it, tracemalloc does not see page by page."""

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource", reason="peak memory is read where Unix tells it")

# The data are made in place, in a child of their own, so that nothing but the fit raises the peak.
CHILD = """
import resource, sys
import numpy as np
import fastem

def peak():
    kilo = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo

options = dict({options})
rng = np.random.default_rng(0)
X = np.empty(({n_rows}, {n_features}))
for begin in range(0, len(X), 10_000):
    block = X[begin : begin + 10_000]
    block[:] = rng.normal(size=block.shape)
    block += 9.0 * rng.integers(0, 4, size=(len(block), 1))
fastem.GaussianMixture(2, max_iter=2, tol=0.5).fit(X[:5000])  # what a first fit loads and starts
before = peak()
fastem.GaussianMixture(8, random_state=0, max_iter=5, tol=0.0, n_threads=2, **options).fit(X)
print((peak() - before) / X.nbytes)
"""


def extra(n_rows, n_features, **options):
    """Peak memory of a fit beyond the data, in units of the data."""
    code = CHILD.format(n_rows=n_rows, n_features=n_features, options=options)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_one_packed_copy_and_a_bounded_workspace(covariance_type):
    # the copy, here little for bounds (at most half), an eighth for partial sums, some 30 bytes a
    # row for the order, and the sample that k-means works on
    assert extra(400_000, 32, covariance_type=covariance_type) < 1.6


def test_no_copy_without_packing():
    assert extra(400_000, 32, pack=False) < 0.5
