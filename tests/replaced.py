"""A pytest plugin that puts fastem's GaussianMixture in the place of scikit-learn's.

It is loaded with `-p replaced`, before scikit-learn's own tests are collected and take the name.
"""

import re

import pytest
import sklearn
import sklearn.mixture._gaussian_mixture
from sklearn.utils.fixes import parse_version

import fastem

#: beginnings of the names (regular expressions) of the tests of scikit-learn that fastem does not
#: pass, each with what a user should know of it. They run nevertheless: one that passes, or that is
#: no longer there, is an error.
DIFFERENT = {
    "test_check_weights": (
        "scikit-learn's message has the largest and the smallest weight in each other's place; "
        "fastem's begins with the same words and has them right"
    ),
    r"test_score\[float32\]": (
        "score_samples and score of float32 rows are float64, the precision that they are computed "
        "in; scikit-learn's are rounded to float32, and so are its sums over the rows"
    ),
    "test_gaussian_mixture_setting_best_params": (
        "at reg_covar=0 a spherical component is left with one row, and so with no variance. "
        "scikit-learn goes on with 3.6e-16, which is what rounding leaves in its difference of "
        "squares; fastem computes 0, and a likelihood without bound is an error"
    ),
    r"test_gaussian_mixture_precisions_init\[": (
        "calls _set_parameters and _initialize, which are private to scikit-learn; what they "
        "should do is in test_interface.py, through precisions_init and precisions_cholesky_"
    ),
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": (
        "counts the calls of a private function of scikit-learn, which fastem has no use for; "
        "test_interface.py has that nothing is initialised where all parameters are given"
    ),
}
if parse_version(sklearn.__version__) >= parse_version("1.8"):
    DIFFERENT |= {
        "test_gaussian_mixture_array_api_compliance(?!.*numpy)": (
            "fastem computes on the CPU, on NumPy arrays: the tag array_api_support says so"
        ),
        "test_gaussian_mixture_raises_where_array_api_not_implemented": (
            "tells which init_params cannot take arrays of another library; fastem takes NumPy "
            "arrays with any"
        ),
    }

sklearn.mixture._gaussian_mixture.GaussianMixture = fastem.GaussianMixture
sklearn.mixture.GaussianMixture = fastem.GaussianMixture


def pytest_collection_modifyitems(items):
    used = set()
    for item in items:
        for name, reason in DIFFERENT.items():
            if re.match(name, item.name):
                used.add(name)
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
    if lost := DIFFERENT.keys() - used:
        raise pytest.UsageError(f"replaced.py names tests that are not there: {sorted(lost)}")
