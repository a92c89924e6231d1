"""The rules of the house, read off the source."""

import ast
import re
from pathlib import Path

import pytest

from fastem.covariances import COVARIANCES

SOURCE = Path(__file__).parent.parent / "src" / "fastem"
MODULES = sorted(p for p in SOURCE.rglob("*.py"))

# package or module -> its layer; imports go from a higher to a lower or the same package only
LAYERS = {
    "exceptions": 0,
    "_files": 0,
    "acceleration": 0,
    "convergence": 0,
    "parameters": 0,
    "_kernels": 1,
    "covariances": 2,
    "kmeans": 2,
    "families": 3,
    "user_models": 1,
    "checkpoints": 2,
    "inference": 2,
    "results": 3,
    "em": 4,
    "initialization": 4,
    "_threads": 4,
    "_validation": 4,
    "tables": 4,
    "io": 5,
    "mle": 5,
    "_config": 5,
    "mixture": 6,
    "": 7,  # fastem itself: the public names
    "plot": 8,
    "_arguments": 8,
    "_report": 8,
    "cli": 9,
    "__main__": 10,
}


def room(path):
    """The first part of a module's name below fastem."""
    part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    return "" if part == "__init__" else part


def imported_rooms(path):
    package = path.relative_to(SOURCE).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = [*package[: len(package) - node.level + 1]]
                names = [*base, *(node.module or "").split(".")]
                names = [n for n in names if n]
                if names:
                    yield names[0]
                else:  # from . import x, at the top
                    yield from (alias.name for alias in node.names)
            elif node.module and node.module.split(".")[0] == "fastem":
                parts = node.module.split(".")[1:]
                yield from parts[:1] or [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == "fastem":
                    yield parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_run_one_way(path):
    here = room(path)
    assert here in LAYERS, f"give {here} a layer in LAYERS, and a line in CONTRIBUTING.md"
    for other in imported_rooms(path):
        other = other if other in LAYERS else ""  # a public name: fastem itself
        same = other == here
        assert same or LAYERS[other] < LAYERS[here], f"{here} must not import {other or 'fastem'}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_structures_are_compared_nowhere(path):
    """`covariance_type == "full"` belongs in the class of the structure."""
    names = set(COVARIANCES)
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Compare | ast.Match):
            continue
        for part in ast.walk(node):
            assert not (isinstance(part, ast.Constant) and part.value in names), (
                f"{path.name}:{node.lineno} compares with {part.value!r}"
            )


def test_one_em_loop():
    loops = [p for p in MODULES if re.search(r"range\(1, .*max_iter", p.read_text())]
    assert [p.name for p in loops] == ["em.py"]


def test_kernels_hold_no_python_and_allocate_nothing():
    for path in (SOURCE / "_kernels").glob("*.hpp"):
        text = path.read_text()
        for word in ("Python.h", "malloc", "std::vector", "throw ", "new "):
            code = re.sub(r"//.*", "", text)
            assert word not in code, f"{path.name} uses {word}"


def test_one_prange_file():
    files = [p.name for p in (SOURCE / "_kernels").iterdir() if p.suffix in (".pyx", ".pxi")]
    assert sorted(files) == ["_avx2.pyx", "_avx512.pyx", "_baseline.pyx", "kernels.pxi"]
    for isa in ("_avx2", "_avx512", "_baseline"):
        lines = (SOURCE / "_kernels" / f"{isa}.pyx").read_text().splitlines()
        assert [line for line in lines if not line.startswith("#")] == ['include "kernels.pxi"']


def test_every_structure_is_one_file():
    for name, structure in COVARIANCES.items():
        assert structure.name == name
        assert type(structure).__module__ == f"fastem.covariances.{name}"


def test_files_stay_readable():
    for path in MODULES:
        n_lines = len(path.read_text().splitlines())
        assert n_lines <= 480, f"{path.relative_to(SOURCE)} has {n_lines} lines: split it"
