"""How many threads are used, and what happens after a fork."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from fastem import GaussianMixture, _threads
from fastem._kernels import kernels
from fastem._threads import effective_n_threads, shared_n_threads

openmp = pytest.mark.skipif(not kernels.has_openmp(), reason="a build without OpenMP is serial")


@pytest.fixture
def four_cpus(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(_threads, "_cpus", lambda affinity: (4, 4))


@openmp
def test_positive_negative_and_clamped(four_cpus):
    assert [effective_n_threads(n) for n in (1, 3, 4, 1000)] == [1, 3, 4, 4]
    assert [effective_n_threads(n) for n in (-1, -2, -4, -100)] == [4, 3, 1, 1]


def test_zero_is_refused():
    with pytest.raises(ValueError, match="n_threads=0"):
        effective_n_threads(0)


@openmp
def test_threadpoolctl_limits_the_default(four_cpus):
    with threadpool_limits(limits=3, user_api="openmp"):
        assert effective_n_threads() == 3
    with threadpool_limits(limits=1, user_api="openmp"):
        assert effective_n_threads() == 1


@openmp
def test_omp_num_threads_sets_the_default():
    code = (
        "from fastem import _threads; _threads._cpus = lambda affinity: (8, 4);"
        "print(_threads.effective_n_threads())"
    )
    # beyond the CPUs there are, a thread may fail to start, and libgomp then ends the process
    for asked, expected in (("3", "3"), ("6", "6"), ("20000", "8")):
        env = {**os.environ, "OMP_NUM_THREADS": asked}
        out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert out.stdout.strip() == expected


@openmp
@pytest.mark.parametrize("order", ["fast, learn", "learn, fast"])
def test_threads_beside_those_of_scikit_learn(order):
    # in a wheel, each has an OpenMP runtime of its own; a second one may end the process
    code = f"""
import numpy as np
X = np.random.default_rng(0).normal(size=(20_000, 4))

def fast():
    from fastem import GaussianMixture
    GaussianMixture(3, n_threads=2, max_iter=3, tol=10.0, random_state=0).fit(X)

def learn():
    from sklearn.cluster import KMeans
    KMeans(3, n_init=1, random_state=0).fit(X)

for fit in ({order}) * 2:
    fit()
print("both")
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.stdout.strip() == "both", out.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
@openmp
def test_the_affinity_mask_is_followed(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = os.sched_getaffinity(0)
    effective_n_threads()
    try:
        os.sched_setaffinity(0, {min(before)})
        assert [effective_n_threads(n) for n in (None, -1, 64)] == [1, 1, 1]
    finally:
        os.sched_setaffinity(0, before)


def test_predict_and_fit_from_several_threads():
    rng = np.random.default_rng(0)
    X, other = rng.normal(size=(20_000, 3)), rng.normal(size=(20_000, 5))
    model = GaussianMixture(3, random_state=0, max_iter=50, tol=1e-2).fit(X)
    expected = model.predict(X)
    own = GaussianMixture(2, random_state=0, tol=1e-2).fit(other).means_.tobytes()
    with ThreadPoolExecutor(4) as pool:
        predictions = [pool.submit(model.predict, X) for _ in range(8)]
        fits = [
            pool.submit(GaussianMixture(2, random_state=0, tol=1e-2).fit, other) for _ in range(4)
        ]
        assert all((p.result() == expected).all() for p in predictions)
        assert {f.result().means_.tobytes() for f in fits} == {own}


def test_a_model_is_whole_until_a_new_fit_replaces_it():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2))
    seen = []
    model = GaussianMixture(2, random_state=0).fit(X)
    # in the middle of a fit to five columns, the old model still predicts on two
    model.set_params(callbacks=[lambda *_: seen.append(model.predict(X))])
    model.fit(rng.normal(size=(500, 5)))
    assert len(seen) == model.n_iter_
    assert model.n_features_in_ == 5


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


def test_fits_at_the_same_time_share_the_cores(monkeypatch):
    monkeypatch.setattr(_threads, "effective_n_threads", lambda n: 6 if n is None else n)
    with shared_n_threads() as first, shared_n_threads() as second, shared_n_threads() as third:
        assert (first, second, third) == (6, 3, 2)
        with shared_n_threads(4) as asked_for:  # whoever asks for a number has it
            assert asked_for == 4
    with pytest.raises(ZeroDivisionError), shared_n_threads():
        raise ZeroDivisionError
    with shared_n_threads() as alone:
        assert alone == 6
