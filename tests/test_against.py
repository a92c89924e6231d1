"""When `python -m benchmarks.against` says that head is slower than base."""

import itertools
import sys

import numpy as np
import pytest

against = pytest.importorskip("benchmarks.against")

from benchmarks.measure import Samples  # noqa: E402

LIMITS = against.Limits(ratio=1.25, seconds=1e-3)


def comparison(base, ratios):
    base = np.broadcast_to(base, len(ratios))
    head = base * np.asarray(ratios)
    return against.Comparison(Samples(base.tolist()), Samples(head.tolist()))


@pytest.mark.parametrize(
    ("base", "ratios", "slower"),
    [
        (0.1, [1.0] * 9, False),
        (0.1, [1.5] * 9, True),
        (0.1, [0.5] * 9, False),
        (0.1, [1.2] * 9, False),  # a large change, a small ratio
        (1e-3, [1.5] * 9, False),  # a large ratio, a small change
        (4.1e-3, [1.25] * 9, False),  # at the limit
        (0.1, [1.0] * 5 + [9.0] * 4, False),  # most rounds show nothing
        (0.1, [0.8] * 4 + [3.0] * 5, False),  # all over the place
        (0.1, [1.2, 1.2, *[1.4] * 7], True),
        (np.geomspace(0.01, 1, 9), [1.5] * 9, True),  # the machine slowed down meanwhile
    ],
)
def test_both_ratio_and_change_must_be_large(base, ratios, slower):
    assert comparison(base, ratios).is_slower(LIMITS) is slower


class MadeUp:
    """An install whose rounds take made-up times, in seconds."""

    def __init__(self, times):
        self.described = "made up"
        self._times = iter(times)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def seconds(self, workload):
        return next(self._times)


@pytest.mark.parametrize(
    ("head", "status", "verdict"),
    [
        (itertools.repeat(0.01), 0, "ok"),
        (itertools.repeat(0.02), 1, "slower"),
        # each comparison has a round that does not count, and 4 that do: slow only at first
        (itertools.chain([0.02] * 5, itertools.repeat(0.01)), 0, "not again"),
    ],
    ids=["same", "slower", "slow-once"],
)
def test_only_a_slowdown_that_is_there_again_fails(monkeypatch, capsys, head, status, verdict):
    installs = {"base": MadeUp(itertools.repeat(0.01)), "head": MadeUp(head)}
    monkeypatch.setattr(against, "Install", lambda python, n_threads: installs[python])
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    arguments = ["base", "head", "--rounds", "4", "--workload", "iris"]
    assert against.main(arguments) == status
    assert verdict in capsys.readouterr().out.split("\n\n")[3]


def test_two_processes_take_turns(capsys):
    # how fast this machine is today decides nothing
    tolerant = ["--rounds", "2", "--workload", "iris", "--threads", "1", "--ratio", "1e9"]
    assert against.main([sys.executable, sys.executable, *tolerant]) == 0
    assert "0 of 1 slower" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for Python")
def test_an_install_that_fails_is_named(tmp_path):
    python = tmp_path / "python-without-fastem"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(SystemExit, match="python-without-fastem ended"):
        against.main([str(python), sys.executable])


def test_workloads_are_chosen_by_name(capsys):
    assert against.main(["a", "b", "--workload", "no such"]) == 2
    assert against.main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(against.WORKLOADS)
