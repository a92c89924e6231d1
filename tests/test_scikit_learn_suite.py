"""scikit-learn's own tests of GaussianMixture, run with fastem's in its place."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import scipy
from sklearn.utils.fixes import parse_version

import fastem

FILES = (
    "sklearn.mixture.tests.test_gaussian_mixture",
    "sklearn.mixture.tests.test_mixture",
    "sklearn.tests.test_common",
    "sklearn.utils.tests.test_estimator_checks",
)
#: of the last two, the tests that are of GaussianMixture
CHOSEN = (
    "test_gaussian_mixture.py or test_mixture.py or test_check_estimator_clones"
    " or (GaussianMixture and not Bayesian)"
)
#: of scikit-learn 1.7, 1.8 and 1.9; of the last two some more where SciPy has the array API
PASSED = 119


def test_scikit_learns_own_tests_pass(tmp_path):
    """But for those that `replaced.py` names, with the reason."""
    pytest.importorskip(FILES[0], reason="scikit-learn is installed without its tests")
    here, source = Path(__file__).parent, Path(fastem.__file__).parents[1]
    path = [str(here), str(source), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "SKLEARN_RUN_FLOAT32_TESTS": "1",  # else skipped
    }
    if parse_version(scipy.__version__) >= parse_version("1.14"):  # older ones do not know it
        environment["SCIPY_ARRAY_API"] = "1"  # else skipped
    options = ["-qrfE", "--tb=short", "--disable-warnings", "-preplaced", "-pno:cacheprovider"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-k", CHOSEN, "--pyargs", *FILES],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr
    passed = int(re.search(r"(\d+) passed", run.stdout.splitlines()[-1])[1])
    assert passed >= PASSED, f"only {passed} passed: do {FILES} still hold what they held?"
