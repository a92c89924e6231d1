"""The pages of docs/, as far as they can be tested without building them (`make docs` does)."""

import inspect
import pkgutil
import re
import runpy
from pathlib import Path

import pytest

import fastem
from fastem import covariances, em, exceptions, families, mle, plot

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MADE = [DOCS / "gallery", DOCS / "reference" / "generated"]
PAGES = sorted(
    page
    for kind in ("*.md", "*.rst")
    for page in DOCS.rglob(kind)
    if not any(page.is_relative_to(folder) for folder in (*MADE, DOCS / "_templates"))
)
READ = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.M | re.S)
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)


def text(page):
    return page.read_text(encoding="utf-8")


def in_toctrees(page):
    """The documents that a page's tables of contents name."""
    titled = re.compile(r"<(.+)>$")
    for block in TOCTREE.findall(text(page)):
        for line in block.splitlines():
            if line and not line.startswith(":"):
                yield (page.parent / (titled.findall(line) or [line])[0]).resolve()


def test_every_page_is_in_a_table_of_contents():
    named = [document for page in PAGES for document in in_toctrees(page)]
    assert len(named) == len(set(named))
    written = {page.with_suffix("").resolve() for page in PAGES} - {DOCS / "index"}
    assert written - set(named) == set()
    assert set(named) - written == {DOCS / "gallery" / "index"}  # made from examples/


def anchors(page):
    """What links to the headings of a page end with."""
    titles = re.findall(r"^#+ (.+)$", FENCED.sub("", text(page)), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", READ, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    for link in LINK.findall(FENCED.sub("", text(page))):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        target, _, heading = link.partition("#")
        file = page if not target else (page.parent / target).resolve()
        assert file.exists(), f"{page.name}: {link}"
        if heading and file.exists():
            assert heading in anchors(file), f"{page.name}: {file.name} has no heading #{heading}"


def test_drawings_are_what_the_script_draws():
    for name, draw in runpy.run_path(str(DOCS / "drawings.py"))["DRAWINGS"].items():
        assert text(DOCS / "images" / name) == draw(), "python docs/drawings.py draws it anew"


def test_figures_are_those_of_the_benchmarks():
    measured = text(ROOT / "benchmarks" / "RESULTS.md")
    figures = re.findall(
        r"(\d+(?:\.\d+)?)(?= to \d| and \d|\s%| ms| E-steps| times as)",
        text(DOCS / "how_it_is_fast.md"),
    )
    assert len(figures) > 7
    assert [figure for figure in figures if not re.search(rf"\b{figure}", measured)] == []


def test_the_gallery_has_every_script_in_its_order():
    scripts = runpy.run_path(str(DOCS / "gallery_order.py"))["SCRIPTS"]
    assert sorted(scripts) == sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


# --- the reference --------------------------------------------------------------------------------


def documented():
    """The full names that the reference lists."""
    names = set()
    for page in DOCS.glob("reference/*"):
        if not page.is_file():
            continue
        module, listing = "", False
        for line in text(page).splitlines():
            if found := re.match(r"\.\. (currentmodule|automodule):: (\S+)", line):
                module = found[2]
            elif found := re.match(r"\.\. (auto(?:data|class|function)|function):: ([\w.]+)", line):
                names.add(f"{module}.{found[2]}")
            elif line.startswith(".. autosummary::"):
                listing = True
            elif listing and line.strip() and not line.strip().startswith(":"):
                listing = line.startswith("   ")
                if listing:
                    names.add(f"{module}.{line.strip()}")
    return names


@pytest.mark.parametrize(
    "module",
    [fastem, mle, em, families, covariances, exceptions, plot],
    ids=lambda module: module.__name__,
)
def test_every_public_name_is_in_the_reference(module):
    submodules = {"covariances", "em", "families", "mle"} if module is fastem else set()
    inherited = {"ConvergenceWarning"} if module is exceptions else set()  # scikit-learn's
    elsewhere = {"ConjugatePrior"} if module is families else set()  # as a name of fastem
    expected = set(module.__all__) - submodules - inherited - elsewhere
    missing = expected - {
        name.removeprefix(f"{module.__name__}.")
        for name in documented()
        if name.rpartition(".")[0] == module.__name__
    }
    assert missing == set()


def test_the_reference_names_what_there_is():
    for name in documented():
        value = pkgutil.resolve_name(name)
        if callable(value):
            assert value.__doc__ or name == "fastem.em.Callback", name


CALLED = [
    *(fastem.GaussianMixture, fastem.Mixture, fastem.ConjugatePrior, fastem.fit_many, fastem.load),
    *(fastem.show_config, mle.fit, em.run, em.run_restarts, em.run_many, em.Convergence),
    *(em.Checkpoint, em.EMResult, plot.plot_mixture, *families.FAMILIES.values()),
]


@pytest.mark.parametrize("called", CALLED, ids=lambda called: called.__name__)
def test_docstrings_tell_of_every_parameter(called):
    section = re.search(
        r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", inspect.getdoc(called), re.M | re.S
    )
    heads = re.findall(r"^(\S[^:\n]*)(?= :|$)", section[1], re.M)
    told = {name.strip().lstrip("*") for head in heads for name in head.split(",")}
    expected = {
        name for name in inspect.signature(called).parameters if not name.startswith("_")
    } - {"self"}
    assert told == expected
