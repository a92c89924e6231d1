"""What type checkers see: stubs are those of the compiled modules, and users' code has types."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastem

pytest.importorskip("mypy", reason="mypy is missing: pip install 'fastem[test-all]'")

ROOT = Path(__file__).parent.parent
ALLOWED = Path(__file__).parent / "stubtest_allowlist.txt"
SITE = Path(fastem.__file__).parent.parent

USER = """
from typing import assert_type

import fastem
from fastem import GaussianMixture, Mixture, mle
from fastem.families import Family, Gamma, Poisson

assert_type(GaussianMixture(2).fit([[1.0]]), GaussianMixture)
GaussianMixture(2).fit([[1.0]]).means_.sum()
assert_type(GaussianMixture(2).converged_, bool)
assert_type(Mixture("Poisson", 2).components_, list[Family])
assert_type(fastem.mixture("N(0, 1)"), Mixture)
assert_type(fastem.families.Poisson(3.0), Poisson)
assert_type(mle.fit(Gamma(), [1.0, 2.0]), mle.MaximumLikelihood)
assert_type(fastem.fit_many([[[1.0]]], 2), list[GaussianMixture])
assert_type(fastem.cpu_isa(), str)
"""


def run(*arguments, cwd):
    path = {} if "site-packages" in SITE.parts else {"MYPYPATH": str(SITE)}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env={**os.environ, **path},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_stubs_are_those_of_the_modules(tmp_path):
    settings = ["--concise", "--mypy-config-file", str(ROOT / "pyproject.toml")]
    allowed = ["--allowlist", str(ALLOWED), "--ignore-unused-allowlist"]
    done = run("mypy.stubtest", "fastem", *settings, *allowed, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_users_code_has_types(tmp_path):
    (tmp_path / "user.py").write_text(USER)
    (tmp_path / "wrong.py").write_text(USER + "assert_type(fastem.cpu_isa(), int)\n")
    options = ["--strict", "--ignore-missing-imports", "--follow-imports=silent"]
    done = run("mypy", *options, "user.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run("mypy", *options, "wrong.py", cwd=tmp_path)
    assert done.stdout.count("error:") == 1, done.stdout
