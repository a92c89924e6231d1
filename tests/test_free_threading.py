"""Many threads at once, with a GIL and without: each gets the bits that it would get alone."""

import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

import fastem
from fastem import GaussianMixture, Mixture, em, families, mle

N_THREADS = 8


def at_once(works):
    """What each of some callables returns, all begun at the same moment."""
    works = list(works)
    start = threading.Barrier(len(works))

    def run(work):
        start.wait(60)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(120) for future in [pool.submit(run, work) for work in works]]


def child(code):
    # a module that brings the GIL back is told of by a RuntimeWarning
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3000, 3)) + 4.0 * rng.integers(0, 3, size=(3000, 1))


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL anyhow"
)
def test_importing_does_not_bring_the_gil_back():
    code = """
import sys
import fastem
for name in fastem.__all__:
    getattr(fastem, name)
assert "fastem._kernels" in sys.modules
print(sys._is_gil_enabled())
"""
    assert child(code) == "False"


def test_modules_first_asked_for_by_many_threads():
    """Names are imported when they are first used; scikit-learn's modules import each other."""
    code = f"""
import threading
import fastem
names = sorted(fastem.__all__)
start, failed = threading.Barrier(len(names)), []
def use(name):
    start.wait()
    try:
        getattr(fastem, name)
    except BaseException as error:
        failed.append((name, repr(error)))
threads = [threading.Thread(target=use, args=(name,)) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join({N_THREADS * 10})
print(failed)
"""
    for _ in range(3):
        assert child(code) == "[]"


@dataclass(frozen=True)
class Coins:
    """Two coins, thrown ten times each time one of them was taken."""

    first: float
    second: float

    def e_step(self, heads):
        ratio = (self.second / self.first) ** heads
        ratio *= ((1 - self.second) / (1 - self.first)) ** (10 - heads)
        share = 1 / (1 + ratio)
        return share @ heads, share.sum(), (1 - share) @ heads, (1 - share).sum()

    def m_step(self, sums):
        return Coins(sums[0] / (10 * sums[1]), sums[2] / (10 * sums[3]))


def fits(X):
    """Name -> a fit of its own, and what there is to compare of it."""
    positive = np.abs(X[:, 0]) + 0.1
    heads = np.random.default_rng(1).binomial(10, np.repeat([0.3, 0.8], 50)).astype(float)

    def gaussian(**options):
        model = GaussianMixture(3, random_state=0, max_iter=8, tol=10.0, **options).fit(X)
        return model.weights_.tobytes(), model.means_.tobytes(), model.covariances_.tobytes()

    def mixture(family, values):
        model = Mixture(family, 2, random_state=0, max_iter=8, tol=10.0).fit(values)
        return model.weights_.tobytes(), str(model)

    works = {
        f"gaussian {kind}": lambda kind=kind: gaussian(covariance_type=kind)
        for kind in ("full", "tied", "diag", "spherical")
    }
    works["starts"] = lambda: gaussian(n_init=5)
    works["two threads each"] = lambda: gaussian(n_threads=2)
    works["float32"] = lambda: GaussianMixture(2, random_state=0).fit(X[:500].astype("f4")).means_
    works["many"] = lambda: [
        m.means_.tobytes() for m in fastem.fit_many([X[:300], X[300:600]], 2, random_state=0)
    ]
    works["mixture in the kernel"] = lambda: mixture("Exponential", positive[:, None])
    works["mixture in NumPy"] = lambda: mixture("StudentT", X[:400, :1])
    works["likelihood"] = lambda: str(mle.fit("Gamma", positive))
    works["loop"] = lambda: em.run(Coins(0.4, 0.6), heads, max_iter=500).model
    return works


def plain(found):
    return found.tobytes() if isinstance(found, np.ndarray) else found


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fits_of_separate_estimators(data):
    works = fits(data)
    alone = {name: plain(work()) for name, work in works.items()}
    # twice each: once beside its like, once beside others
    for _ in range(2):
        names = [*works, *works]
        together = at_once(works[name] for name in names)
        for name, found in zip(names, together, strict=True):
            assert plain(found) == alone[name], name


@pytest.mark.parametrize("kind", ["gaussian", "mixture"])
def test_one_model_asked_by_many(data, kind):
    if kind == "gaussian":
        model = GaussianMixture(3, random_state=0, max_iter=8, tol=10.0).fit(data)
    else:
        model = Mixture("Normal", 3, random_state=0, max_iter=8, tol=10.0).fit(data[:, :1])
    columns = data[:, : model.n_features_in_]
    asked = ("predict", "predict_proba", "score_samples")
    alone = {name: getattr(model, name)(columns).tobytes() for name in asked}
    names = [asked[i % len(asked)] for i in range(3 * N_THREADS)]
    together = at_once(lambda name=name: getattr(model, name)(columns) for name in names)
    for name, found in zip(names, together, strict=True):
        assert found.tobytes() == alone[name], name


def test_one_result_asked_by_many(data):
    """What a result works out when it is first asked for."""
    values = np.abs(data[:, 0]) + 0.1

    def ask(result):
        errors = result.standard_errors["shape"]
        return str(result), errors.tobytes(), result.covariance.tobytes()

    expected = ask(mle.fit("Weibull", values))
    for _ in range(3):
        result = mle.fit(families.Weibull(), values)
        assert set(at_once([partial(ask, result)] * N_THREADS)) == {expected}


def test_models_saved_and_loaded_by_many(data, tmp_path):
    models = [
        GaussianMixture(k, random_state=0, max_iter=4, tol=10.0).fit(data) for k in range(1, 9)
    ]

    def there_and_back(model):
        path = tmp_path / f"{model.n_components}.fastem"
        for _ in range(5):
            model.save(path)
            loaded = fastem.load(path)
        return loaded.means_.tobytes()

    found = at_once(lambda model=model: there_and_back(model) for model in models)
    assert found == [model.means_.tobytes() for model in models]
