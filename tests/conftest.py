"""Data that several test files share."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def faithful():
    """Old Faithful: duration of the eruption and waiting time, (272, 2)."""
    return np.loadtxt(ROOT / "examples" / "faithful.csv", delimiter=",", skiprows=1)


@pytest.fixture(scope="session")
def iris():
    return load_iris(return_X_y=True)
