"""Data that several test files share."""

import os
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from sklearn.datasets import load_iris

ROOT = Path(__file__).parent.parent

# The same examples each time, unless it is night: then others, and many
settings.register_profile("day", derandomize=True, deadline=None, max_examples=20)
settings.register_profile("nightly", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "day"))


@pytest.fixture(scope="session")
def faithful():
    """Old Faithful: duration of the eruption and waiting time, (272, 2)."""
    return np.loadtxt(ROOT / "examples" / "faithful.csv", delimiter=",", skiprows=1)


@pytest.fixture(scope="session")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def run_example(monkeypatch, tmp_path, capsys):
    """Runs a script of examples/ as a program, in an empty folder; returns what it printed."""
    monkeypatch.chdir(tmp_path)
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        plt = None
    if plt is not None:
        plt.switch_backend("agg")
        monkeypatch.setattr(plt, "show", lambda: None)  # a window would wait for a hand

    def run(name):
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    yield run
    if plt is not None:
        plt.close("all")
