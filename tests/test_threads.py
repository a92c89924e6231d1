"""How many threads are used, and what happens after a fork."""

import multiprocessing
import os
import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from fastem import GaussianMixture, _threads
from fastem._kernels import kernels
from fastem._threads import effective_n_threads

openmp = pytest.mark.skipif(not kernels.has_openmp(), reason="a build without OpenMP is serial")


@pytest.fixture
def four_cpus(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(_threads, "cpu_count", lambda only_physical_cores=False: 4)


@openmp
def test_positive_negative_and_clamped(four_cpus):
    assert [effective_n_threads(n) for n in (1, 3, 4, 1000)] == [1, 3, 4, 4]
    assert [effective_n_threads(n) for n in (-1, -2, -4, -100)] == [4, 3, 1, 1]


def test_zero_is_refused():
    with pytest.raises(ValueError, match="n_threads=0"):
        effective_n_threads(0)


@openmp
def test_threadpoolctl_limits_the_default():
    with threadpool_limits(limits=1, user_api="openmp"):
        assert effective_n_threads() == 1
    assert effective_n_threads() == effective_n_threads(None)


@openmp
def test_omp_num_threads_sets_the_default():
    code = "from fastem._threads import effective_n_threads; print(effective_n_threads())"
    env = {**os.environ, "OMP_NUM_THREADS": "3"}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert out.stdout.strip() == "3"


def _fit_in_child(queue):
    X = np.random.default_rng(0).normal(size=(50_000, 4))
    model = GaussianMixture(3, random_state=0, n_threads=2, max_iter=3, tol=10.0).fit(X)
    queue.put((effective_n_threads(2), model.means_.tobytes()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_fits_instead_of_hanging():
    X = np.random.default_rng(0).normal(size=(50_000, 4))
    parent = GaussianMixture(3, random_state=0, n_threads=2, max_iter=3, tol=10.0).fit(X)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_fit_in_child, args=(queue,))
    child.start()
    n_threads, means = queue.get(timeout=60)
    child.join(10)
    assert means == parent.means_.tobytes()
    if effective_n_threads(2) > 1:
        assert n_threads == 1
