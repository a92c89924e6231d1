"""How the documentation is built: `make docs`, in the root of the repository.

The pages are Markdown that also reads on a repository's file view. The reference comes from the
docstrings, the gallery from the scripts of `examples/`, both at build time.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpydoc.xref
from docutils import nodes
from sphinx.application import Sphinx

import fastem
from fastem import exceptions, families, mle

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for the order of the gallery
COMMANDS = ("", "fit", "predict", "score", "sample", "plot", "info")

project = "fastem"
author = project_copyright = "The fastem developers"
version = release = fastem.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["gallery/*.ipynb", "gallery/*.py", "gallery/*.zip"]
templates_path = ["_templates"]

# --- pages ----------------------------------------------------------------------------------------

myst_heading_anchors = 3
smartquotes = False  # "full" is to be copied as it stands
# Links of the repository's file view whose target is a page here
PAGES = {
    "../examples": "gallery/index.rst",
    "../CHANGELOG.md": "changelog.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../benchmarks/RESULTS.md": "benchmarks.md",
}

# --- reference ------------------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say the types, in words
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"  # GaussianMixture.fit is cut off beside the page
default_role = "literal"  # a `name` in a docstring is as often that of an argument
numpydoc_show_class_members = False  # the templates of autosummary list them
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"  # the words of types that are not in the aliases
numpydoc_xref_aliases = {
    **{name: f"fastem.{name}" for name in ("FitReport", "GaussianMixture", "Mixture")},
    **{name: f"fastem.families.{name}" for name in ("Family", *families.FAMILIES)},
    **{name: f"fastem.mle.{name}" for name in mle.__all__ if name[0].isupper()},
    **{name: f"fastem.em.{name}" for name in ("Checkpoint", "Convergence", "EMResult")},
    **{name: f"fastem.exceptions.{name}" for name in exceptions.__all__ if "Conv" not in name},
    "ConjugatePrior": "fastem.ConjugatePrior",
    "Information": "fastem.inference.Information",
}
# What is wrong in a docstring, not what the style of the house leaves out: methods of one line, and
# parameters of one kind together. tests/test_pages.py demands parameters where they
# are called for.
numpydoc_validation_checks = {
    "GL03", "GL05", "GL06", "GL07", "GL09", "GL10", "SS04", "PR02", "PR05", "PR10", "YD01",
}  # fmt: skip
nitpicky = True
nitpick_ignore_regex = [
    # names of Python, NumPy and scikit-learn, which only intersphinx knows (see below)
    (r"(py|std):.*", r"(python|collections|numpy|scipy|sklearn|matplotlib)[:.].*"),
    (r"std:(ref|term)", r"metadata_routing|meta-estimator"),
]

# --- links to other projects: only where they are asked for, as they take the network -------------

if not os.environ.get("FASTEM_DOCS_ONLINE"):
    numpydoc.xref.DEFAULT_LINKS.clear()
else:
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
    }

# --- gallery --------------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "gallery_order.Order",
    "backreferences_dir": "gallery/uses",
    "doc_module": ("fastem",),
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "abort_on_example_error": True,
    "copyfile_regex": r".*\.csv",
}

# --- theme ----------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "fastem"
html_theme_options = {
    "show_prev_next": True,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 8,
    "navbar_persistent": ["search-button"],  # its field would push the links into two rows
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["wider.css"]
# pages that are no sections have nothing to show at their left
html_sidebars = {
    page: []
    for page in (
        *("tutorial", "how_it_is_fast", "benchmarks", "promises"),
        *("compared", "changelog", "contributing"),
    )
}


def write_help(app: Sphinx) -> None:
    """What the commands print with --help, for the page about them."""
    folder = HERE / "reference" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    for command in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "fastem", *command.split(), "--help"],
            env={**os.environ, "COLUMNS": "76", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        name = f"help_{command}" if command else "help"
        (folder / f"{name}.txt").write_text(done.stdout, encoding="utf-8")


def link_to_pages(app: Sphinx, page: str, source: list[str]) -> None:
    """Links out of docs/ to what is a page here lead to the page."""
    up = "../" * page.count("/")
    for target, here in PAGES.items():
        for end in ")#":
            source[0] = source[0].replace(f"]({up}{target}{end}", f"](/{here}{end}")


def keep_numbers_whole(app: Sphinx, document: nodes.document) -> None:
    """No line ends within "20 000" or "14.6 %"."""
    for text in list(document.findall(nodes.Text)):
        if not isinstance(text.parent, nodes.literal | nodes.FixedTextElement):
            whole = re.sub(r"(?<=\d) (?=\d{3}\b|%)", "\N{NO-BREAK SPACE}", text)
            if whole != text:
                text.parent.replace(text, nodes.Text(whole))


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", write_help)
    app.connect("source-read", link_to_pages)
    app.connect("doctree-read", keep_numbers_whole)
