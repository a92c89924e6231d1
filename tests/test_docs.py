"""Documentation that runs: README, docstrings, examples, and CONTRIBUTING's recipes."""

import doctest
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import documents
import pytest

import fastem

ROOT = Path(__file__).parent.parent
PACKAGE = Path(fastem.__file__).parent


def blocks(file, language):
    return documents.blocks((ROOT / file).read_text(encoding="utf-8"), language)


PAGES = [
    page
    for page in sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "guides").glob("*.md")])
    if any(blocks(page, language) for language in documents.languages(page))
]
GUIDES = [page for page in PAGES if page.parent.name == "guides"]


def modules():
    for info in pkgutil.walk_packages([str(PACKAGE)], "fastem."):
        if not info.name.endswith("__main__"):
            yield info.name


@pytest.mark.parametrize("name", sorted(modules()))
def test_docstring_examples(name):
    if name.rpartition(".")[2] in ("_avx2", "_avx512"):
        return  # the same source as the baseline, which may not run here
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_there_is_a_docstring_example_to_run():
    assert doctest.testmod(importlib.import_module("fastem.mixture.gaussian")).attempted > 0


def prints_what_it_shows(page):
    """Run a page in the present folder."""
    for ran in documents.run(page):
        if ran.expected is None:
            assert not ran.printed, f"{page.name}, line {ran.line} prints what is not shown"
        else:
            where = f"{page.name}, line {ran.line}; python tests/documents.py {page} mends it"
            assert documents.same(ran.printed, ran.expected), f"{where}\n{ran.printed}"


def test_readme_prints_what_it_shows_without_files(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    prints_what_it_shows(ROOT / "README.md")


@pytest.mark.parametrize("number", range(len(blocks("README.md", "python"))))
def test_readme_blocks_run_alone(number, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("README.md", "python")[number], f"README block {number}", "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_prints_what_it_shows_and_draws_its_pictures(page, monkeypatch, tmp_path):
    if os.name == "nt" and "sh" in documents.languages(page) and blocks(page, "sh"):
        pytest.skip("the page has commands for a POSIX shell")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    prints_what_it_shows(page)
    shown = documents.pictures(page.read_text(encoding="utf-8"))
    assert set(documents.drawn(tmp_path)) == {Path(name).name for name in shown}
    for name in shown:
        size = (page.parent / name).stat().st_size
        assert 0 < size < documents.LARGE, f"{name} is missing or large"


def test_the_tutorial_is_a_page_that_runs():
    assert ROOT / "docs" / "tutorial.md" in PAGES


def test_the_guides_are_pages_that_run():
    index = (ROOT / "docs" / "guides" / "index.md").read_text(encoding="utf-8")
    assert len(GUIDES) == 7
    for page in GUIDES:
        assert f"]({page.name})" in index
        assert re.search(rf"^{page.stem}$", index, re.M), f"{page.name} is not in the toctree"


@pytest.mark.skipif(os.name == "nt", reason="there is no POSIX shell")
def test_commands_of_a_page_are_run_as_they_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "guides" / "page.md"
    page.parent.mkdir()
    page.write_text(
        "```sh\nfastem nothing || echo status $?\n```\n```text\n```\n"
        "```sh\npython -c 'import sys; sys.exit(3)'\n```\n"
    )
    ran = documents.run(page)
    assert re.match(r"fastem: error: .*\nstatus 2\n$", next(ran).printed)
    with pytest.raises(AssertionError, match=r"page.md, line 7: exit status 3"):
        next(ran)


def test_results_are_compared_to_the_last_digit_shown():
    assert documents.same("ll -12.345,  n 100\n", "ll -12.346, n  99\n")
    assert not documents.same("ll -12.345", "ll -12.347")
    assert not documents.same("mean 3", "sd 3")
    assert not documents.same("3 of 4", "3")
    assert documents.same("p 3.2e-06", "p 3.3e-06")
    assert documents.same("Time 0.4 s, 12 rows", "Time 1.3e-05 s, 12 rows")
    assert documents.same("time in ms: total 3", "time in ms: total 1.5")
    assert not documents.same("12 sets", "14 sets")
    assert not documents.same("p 3.2e-06", "p 3.2e-05")


def test_readme_commands(tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    commands = [
        line
        for block in blocks("README.md", "")
        for line in block.splitlines()
        if line.startswith("fastem ")
    ]
    assert len(commands) >= 3
    for command in commands:
        arguments = command.split("#")[0].split()[1:]
        done = subprocess.run(
            [sys.executable, "-m", "fastem", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_old_faithful_example(run_example):
    printed = run_example("old_faithful")
    for value in (-1709.529282, -1147.806353, -1140.186759, -1130.263960, -1126.315928):
        assert f"{value:.5f}"[:-1] in printed
    assert "lowest BIC: tied, 3 components" in printed


FIT_WITH_A_FIFTH_STRUCTURE = """
import numpy as np
from fastem import GaussianMixture
from fastem.covariances import COVARIANCES

rng = np.random.default_rng(0)
centres = np.array([[0.0, 0, 0], [20, 0, 0], [0, 20, 0]])
labels = np.arange(3000) % 3
noise = rng.normal(size=(3000, 3)) * [1.0, 2.0, 3.0]
X = centres[labels] + noise
model = GaussianMixture(3, covariance_type="tied_diag", random_state=0).fit(X)
residuals = X - np.stack([X[labels == k].mean(axis=0) for k in range(3)])[labels]
np.testing.assert_allclose(model.covariances_, (residuals**2).mean(axis=0), rtol=1e-3)
assert model.converged_
assert model._n_parameters() == 3 + 9 + 2
assert model.predict_proba(X).shape == (3000, 3)
drawn, component = model.sample(60_000)
spread = (drawn - model.means_[component]).std(axis=0)
np.testing.assert_allclose(spread, np.sqrt(model.covariances_), rtol=0.03)
model.save("model.fastem")
import fastem
again = fastem.load("model.fastem")
assert (again.predict(X) == model.predict(X)).all()
print(sorted(COVARIANCES))
"""


FIT_WITH_A_NEW_FAMILY = """
import numpy as np
from scipy import stats
import fastem
from fastem import Mixture
from fastem.families import FAMILIES, Rayleigh

x = np.linspace(0.1, 9, 50)
np.testing.assert_allclose(Rayleigh(2.0).log_density(x), stats.rayleigh(scale=2).logpdf(x))
X = np.concatenate([Rayleigh(1.0).sample(3000, 0), Rayleigh(9.0).sample(3000, 1)])[:, None]
model = Mixture("Rayleigh", 2, random_state=0).fit(X)
assert type(model._model).__name__ == "LinearMixture"
scales = sorted(float(c.scale) for c in model.components_)
np.testing.assert_allclose(scales, [1.0, 9.0], rtol=0.05)
model.save("model.fastem")
assert str(fastem.load("model.fastem")) == str(model)
formula = "0.5*Rayleigh(1) + 0.5*Rayleigh(9)"
assert str(fastem.mixture(formula)) == formula
result = fastem.mle.fit(Rayleigh(), X[:3000, 0])
np.testing.assert_allclose(result.family.scale, np.sqrt((X[:3000] ** 2).mean() / 2), rtol=1e-12)
print(sorted(FAMILIES))
"""


def in_a_copy(tmp_path, recipe, file, registry, changes, program):
    """Run a program with a copy of the package to which a recipe of CONTRIBUTING was added."""
    copy = tmp_path / "fastem"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.cpp"))
    libraries = PACKAGE.with_name("fastem.libs")  # of a wheel, which looks for them beside itself
    if libraries.exists():
        shutil.copytree(libraries, tmp_path / libraries.name)
    (copy / file).write_text(blocks("CONTRIBUTING.md", "python")[recipe], "utf-8")
    text = (copy / registry).read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (copy / registry).write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fifth_covariance_is_one_file_and_one_line(tmp_path):
    line = "from .tied import Tied\n"
    printed = in_a_copy(
        tmp_path,
        0,
        "covariances/tied_diag.py",
        "covariances/__init__.py",
        [
            (line, line + "from .tied_diag import TiedDiag\n"),
            ("Spherical())", "Spherical(), TiedDiag())"),
        ],
        FIT_WITH_A_FIFTH_STRUCTURE,
    )
    assert "tied_diag" in printed


def test_a_new_family_is_one_file_and_one_line(tmp_path):
    line = "from .poisson import Poisson as Poisson\n"
    printed = in_a_copy(
        tmp_path,
        1,
        "families/rayleigh.py",
        "families/registry.py",
        [(line, line + "from .rayleigh import Rayleigh as Rayleigh\n")],
        FIT_WITH_A_NEW_FAMILY,
    )
    assert "Rayleigh" in printed


def test_contributing_names_every_module():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for path in sorted((ROOT / "src" / "fastem").iterdir()):
        if path.suffix == ".py" and path.stem not in (
            "__init__", "__main__", "_config", "_threads", "_validation", "exceptions",
        ):  # fmt: skip
            assert f"`{path.name}`" in text, f"CONTRIBUTING.md does not say what {path.name} does"


def test_every_public_name_is_documented():
    for name in fastem.__all__:
        if not name.startswith("__"):
            assert getattr(fastem, name).__doc__, name
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "make demo" in readme
    assert "make test" in readme
