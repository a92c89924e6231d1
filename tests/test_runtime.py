"""What happens to a fit from outside: signals, limits, forks, other threads; and what it leaves."""

import ctypes
import hashlib
import multiprocessing
import os
import platform
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import joblib
import numpy as np
import pytest
from joblib.externals.loky.backend import context as loky_context
from threadpoolctl import threadpool_info

import fastem
from fastem import GaussianMixture, _threads
from fastem._kernels import STRUCTURES, kernels, memory
from fastem._kernels import threads as kernel_threads
from fastem._kernels.rows import Rows, Workspace, n_slots
from fastem._threads import effective_n_threads

unix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals, forks or limits")
openmp = pytest.mark.skipif(not kernels.has_openmp(), reason="a build without OpenMP is serial")
forking = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

# It takes 0.05 s on an idle machine; the bound is for one that is far from it.
PATIENCE = 5.0


def child(code, *args, timeout=120, **env):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **env},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def digest(model):
    parts = (model.weights_, model.means_, model.covariances_, model.precisions_)
    return hashlib.sha1(b"".join(part.tobytes() for part in parts)).hexdigest()


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(60_000, 4)) + 5.0 * rng.integers(0, 3, size=(60_000, 1))


def small_fit(X, **options):
    return GaussianMixture(3, random_state=0, max_iter=4, tol=10.0, **options).fit(X)


# --- signals ------------------------------------------------------------------------------------

# Each piece of work takes seconds in one call of the kernels, or goes on until it is interrupted.
INTERRUPTED = """
import sys, time
import numpy as np
import fastem
from fastem import GaussianMixture
from fastem._kernels.columns import column_moments

rng = np.random.default_rng(0)
X = rng.normal(size=(60_000, 64))
small = X[:3000]
model = GaussianMixture(3, random_state=0, max_iter=3, n_threads=2).fit(small)
before = {name: np.copy(value) for name, value in vars(model).items()}

def fit():
    start = dict(weights_init=np.full(400, 1 / 400), means_init=X[:400])
    GaussianMixture.fit(model.set_params(n_components=400, init_params="random", **start), X)

def kmeans():
    GaussianMixture.fit(model.set_params(n_components=400, covariance_type="diag"), X)

def predict():
    model.predict(np.broadcast_to(X[0], (3_000_000, 64)))

def fit_many():
    fastem.fit_many([X[:2000, :8]] * 200, 8, random_state=0, tol=0, n_threads=2)

def side_by_side():
    GaussianMixture(8, n_init=32, tol=0, max_iter=10_000, n_threads=2).fit(X[:2000, :5])

def columns():
    column_moments(np.broadcast_to(X[0], (20_000_000, 64)), n_threads=2)

def factorise():
    from fastem.covariances import COVARIANCES
    COVARIANCES["tied"].factorise(np.eye(3000))

work = globals()[sys.argv[1]]
print("ready", flush=True)
while sys.stdin.readline():
    try:
        while True:
            work()
    except KeyboardInterrupt:
        print(time.monotonic(), flush=True)
model.set_params(n_components=3, covariance_type="full", init_params="kmeans", weights_init=None,
                 means_init=None)
assert all(np.array_equal(before[n], v) for n, v in vars(model).items() if n.endswith("_"))
model.fit(small)
assert all(np.array_equal(before[n], v) for n, v in vars(model).items() if n.endswith("_"))
print("whole")
"""


@unix
@pytest.mark.parametrize(
    "work", ["fit", "kmeans", "predict", "fit_many", "side_by_side", "factorise", "columns"]
)
def test_ctrl_c_is_heard_at_any_moment(work):
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", INTERRUPTED, work],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        for _ in range(3):
            process.stdin.write("go\n")
            process.stdin.flush()
            time.sleep(random.uniform(0.05, 0.8))
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert float(process.stdout.readline()) - sent < PATIENCE
        out, _ = process.communicate(timeout=60)
        assert out == "whole\n"


def long_pass(n_rows=2_000_000):
    """A workspace, and parameters, for a pass of about a second on one thread."""
    X = np.broadcast_to(np.linspace(-1.0, 1.0, 32), (n_rows, 32))
    rows = Rows(X, None, 2, shift=np.zeros(32), pack=False)
    parameters = {
        "constants": np.zeros(16),
        "means": np.linspace(-1, 1, 16 * 32).reshape(16, 32),
        "precisions_cholesky": np.ones((16, 32)),
    }
    return Workspace(rows, STRUCTURES["Diag"], 16, skip=False), parameters


class UnexpectedError(Exception):
    pass


@unix
def test_a_handler_of_signals_may_raise_anything():
    def handler(*_):
        raise UnexpectedError

    workspace, parameters = long_pass()
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(UnexpectedError):
            _ = [workspace.accumulate(parameters) for _ in range(1000)]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@unix
def test_a_handler_that_returns_changes_nothing():
    workspace, parameters = long_pass()
    expected = workspace.accumulate(parameters)
    beats = []

    def handler(*_):
        # Python in the middle of a pass, even another pass
        beats.append(small_fit(np.random.default_rng(0).normal(size=(2000, 3))).n_iter_)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.1)
        while len(beats) < 3:
            again = workspace.accumulate(parameters)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    for a, b in zip(expected, again, strict=True):
        assert np.array_equal(a, b)


@unix
def test_other_threads_leave_signals_to_the_main_one():
    code = """
import signal, threading, time, numpy as np
from concurrent.futures import ThreadPoolExecutor
from fastem import GaussianMixture
X = np.random.default_rng(0).normal(size=(300_000, 8))
fit = lambda: GaussianMixture(4, random_state=0, max_iter=8, tol=0).fit(X).means_.tobytes()
with ThreadPoolExecutor(1) as pool:
    future = pool.submit(fit)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
    try:
        time.sleep(30)
    except ZeroDivisionError:
        print(future.result() == fit())
"""
    assert child(code) == "True"


# --- memory -------------------------------------------------------------------------------------


@unix
def test_memory_that_is_refused_leaves_the_model_whole():
    code = """
import resource, numpy as np
from fastem import GaussianMixture
rng = np.random.default_rng(0)
X = rng.normal(size=(100_000, 40))
model = GaussianMixture(2, random_state=0, max_iter=2).fit(X)
means, n_iter = model.means_, model.n_iter_
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (16 << 20),) * 2)
for fit in (model.fit, model.fit_predict):
    try:
        fit(X * 2)
    except MemoryError:
        pass
    else:
        raise SystemExit("it fitted")
    try:
        fit(X)
    except MemoryError:
        print(model.means_ is means, model.n_iter_ == n_iter)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    assert set(child(code).splitlines()) == {"True True"}


def test_what_cannot_fit_is_refused_before_it_is_allocated(monkeypatch, data):
    monkeypatch.setattr(memory, "limit", lambda: 4 << 30)
    began = time.monotonic()
    wide = np.random.default_rng(0).normal(size=(4000, 200))
    model = GaussianMixture(3000, random_state=0)
    with pytest.raises(
        MemoryError, match=r"3000 components in 200 features takes .* GiB.*4\.0 GiB"
    ):
        model.fit(wide)
    assert not hasattr(model, "means_")
    assert time.monotonic() - began < PATIENCE
    fitted = small_fit(data)
    rows = np.broadcast_to(data[0], (400_000_000, 4))
    with pytest.raises(MemoryError, match="result for 400000000 rows"):
        fitted._fitted_model().score(rows, responsibilities=True)


def test_limits_of_control_groups(tmp_path):
    membership = tmp_path / "cgroup"
    membership.write_text("4:memory:/a/b\n3:cpu,cpuacct:/c\n0::/user/me\n")
    for name, content in {
        "memory/a/memory.limit_in_bytes": "1000",
        "memory/a/b/memory.limit_in_bytes": "2000",
        "user/memory.max": "3000",
        "user/me/memory.max": "max",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    assert sorted(memory._cgroup_limits(membership, tmp_path)) == [1000, 2000, 3000]
    assert memory._cgroup_limits(tmp_path / "absent", tmp_path) == []


def test_few_slots_where_one_is_huge():
    assert n_slots(10_000, 1000, 0) == 128
    assert n_slots(10_000, 10_000_000, 0) == 13  # 1 GiB
    assert n_slots(10_000, 100_000_000, 0) == 4
    assert n_slots(3, 100_000_000, 0) == 3


def test_more_than_2_to_the_31_elements():
    base = np.arange(1100.0, dtype=np.float32) % 3
    n_rows = 2_000_000
    X = np.broadcast_to(base, (n_rows, 1100))
    assert X.size > 2**31
    rows = Rows(X, None, 2, shift=np.zeros(1100), pack=False)
    workspace = Workspace(rows, STRUCTURES["Spherical"], 1, skip=False)
    one = {
        "constants": np.zeros(1),
        "means": np.zeros((1, 1100)),
        "precisions_cholesky": np.ones(1),
    }
    counts, first, _, _ = workspace.accumulate(one)
    assert counts[0] == n_rows
    np.testing.assert_allclose(first[0], n_rows * base.astype(np.float64), rtol=1e-5)


# --- processes ----------------------------------------------------------------------------------


def _forked(n, work):
    """What `work` returns, a short text, in a child of n generations."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = work() if n == 1 else _forked(n - 1, work)
            os.write(writer, text.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as end:
        text = end.read()
    os.waitpid(pid, 0)
    return text


@unix
@forking
@openmp
@pytest.mark.parametrize("generations", [1, 2])
def test_children_of_a_fork_fit_serially(data, generations):
    expected = digest(small_fit(data, n_threads=2))
    text = _forked(
        generations, lambda: f"{digest(small_fit(data, n_threads=2))} {effective_n_threads(2)}"
    )
    alone = kernel_threads.have_run
    assert text == f"{expected} {1 if alone else effective_n_threads(2)}"


@unix
@openmp
def test_a_fork_after_nothing_but_a_factorisation():
    code = """
import os, numpy as np
from fastem import GaussianMixture, _threads
_threads._cpus = lambda affinity: (2, 2)
X = np.random.default_rng(0).normal(size=(600, 150))
fit = lambda: GaussianMixture(2, random_state=0, max_iter=2, reg_covar=0.1, n_threads=2).fit(X)
means = fit().means_
if (pid := os.fork()) == 0:
    os._exit(0 if np.array_equal(fit().means_, means) else 1)
print(os.waitpid(pid, 0)[1])
"""
    assert child(code, timeout=60) == "0"


def _digest_of(data, n_threads):
    return digest(small_fit(data, n_threads=n_threads))


@unix
@forking
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(data, method):
    expected = _digest_of(data, 2)
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = [pool.apply_async(_digest_of, (data, 2)) for _ in range(2)]
        assert {result.get(timeout=100) for result in results} == {expected}


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_around(data, backend):
    with joblib.Parallel(n_jobs=2, backend=backend) as parallel:
        many = parallel(joblib.delayed(_digest_of)(data, n) for n in (None, 2, 1))
    assert set(many) == {_digest_of(data, 1)}


def test_joblib_inside(data):
    def fit(_):
        jobs = (joblib.delayed(_digest_of)(data, 2) for _ in range(2))
        return joblib.Parallel(n_jobs=2, backend="threading")(jobs)

    with ThreadPoolExecutor(2) as pool:
        found = {text for texts in pool.map(fit, range(2)) for text in texts}
    assert found == {_digest_of(data, 1)}


# --- threads ------------------------------------------------------------------------------------


@openmp
def test_a_quota_of_the_container_is_followed(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(loky_context, "_cpu_count_cgroup", lambda n_cpus: 1)
    _threads._cpus.cache_clear()
    try:
        assert [effective_n_threads(n) for n in (None, -1, 64)] == [1, 1, 1]
    finally:
        _threads._cpus.cache_clear()


LIMITED = """
import os, sys, warnings
import numpy as np, resource
from fastem import GaussianMixture, _threads
_threads._cpus = lambda affinity: (64, 64)
X = np.random.default_rng(0).normal(size=(60_000, 4))
if sys.argv[1] == "processes":
    if os.getuid() == 0:
        os.setuid(65534)  # the limit does not hold for root
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
else:
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (100 << 20),) * 2)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model = GaussianMixture(2, random_state=0, max_iter=2, n_threads=64).fit(X)
print(any("ulimit -u" in str(w.message) for w in caught))
"""


@openmp
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
@pytest.mark.parametrize("limit", ["processes", "memory"])
def test_threads_that_the_system_refuses(limit):
    assert child(LIMITED, limit) == "True"


def test_threads_are_tried_once(monkeypatch):
    tried = []
    monkeypatch.setattr(kernel_threads, "_can_start", lambda n: tried.append(n) or n < 9)
    monkeypatch.setattr(kernel_threads, "_had", threading.local())
    assert [kernel_threads.granted(n) for n in (1, 3, 2, 3, 4)] == [1, 3, 2, 3, 4]
    assert tried == [3, 4]
    with pytest.warns(RuntimeWarning, match="does not start 8 more threads"):
        assert kernel_threads.granted(9) == 1


def test_concurrent_fits_of_one_estimator_do_not_mix():
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(300, D)) for D in (2, 3, 4, 5)]
    expected = {digest(small_fit(X)) for X in tables}
    model, seen, over = small_fit(tables[0]), set(), threading.Event()

    def fit(X):
        for _ in range(20):
            model.fit(X)

    def look():
        while not over.is_set():
            now = dict(vars(model))
            one = GaussianMixture()
            one.__dict__.update(now)
            seen.add(digest(one))
            for X in tables:
                with suppress(ValueError):  # by now it is a model of other columns
                    assert set(np.unique(model.predict(X))) <= {0, 1, 2}

    with ThreadPoolExecutor(6) as pool:
        watching = [pool.submit(look) for _ in range(2)]
        fits = [pool.submit(fit, X) for X in tables]
        try:
            for future in fits:
                future.result()
        finally:
            over.set()
        for future in watching:
            future.result()
    assert seen <= expected


# --- what is left behind ------------------------------------------------------------------------


def control_words():
    """The control words of the floating-point units of this thread (x86-64, glibc)."""
    environment = (ctypes.c_uint32 * 16)()
    ctypes.CDLL(None).fegetenv(ctypes.byref(environment))
    return environment[0] & 0xFFFF, environment[7] & 0xFFC0


def test_no_global_state_is_changed(data):
    def state():
        pools = [(p["filepath"], p["num_threads"]) for p in threadpool_info()]
        words = None
        if sys.platform.startswith("linux") and platform.machine() == "x86_64":
            words = control_words()
        handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
        legacy = np.random.get_state()[1].tobytes()  # noqa: NPY002
        tiny = np.full(8, 5e-324)
        return pools, words, handlers, np.geterr(), legacy, (tiny * 1.0 > 0).all(), dict(os.environ)

    before = state()
    for kind in ("full", "tied", "diag", "spherical"):
        small_fit(data, covariance_type=kind, n_threads=2).predict_proba(data)
    fastem.fit_many([data[:200], data[200:400]], 2, random_state=0, tol=1e-1)
    with pytest.raises(ValueError, match="reg_covar"):
        GaussianMixture(1, reg_covar=0.0, random_state=0).fit(np.ones((50, 2)))
    assert state() == before
