"""docs/compared.md tells what the script that wrote it would still find for fastem."""

import pytest

compared = pytest.importorskip("benchmarks.compared")

from benchmarks.hard.cases import CASES  # noqa: E402
from benchmarks.hard.programs import PROGRAMS  # noqa: E402

PAGE = compared.PAGE.read_text(encoding="utf-8")


def table():
    """The table of symbols: case -> title of the program -> symbol."""
    lines = iter(PAGE.splitlines())
    header = next(line for line in lines if line.startswith("| case |"))
    titles = [cell.strip() for cell in header.strip("|").split("|")]
    next(lines)
    rows = {}
    for line in lines:
        if not line.startswith("| "):
            return rows
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0]] = dict(zip(titles[1:], cells[1:], strict=True))
    return rows


def test_the_page_has_the_cases_of_the_script():
    assert list(table()) == [case.name for case in CASES]
    for case in CASES:
        assert f"**{case.name}**: {case.what}. *Right:* {case.answer}." in PAGE
    titles = {program.title for program in PROGRAMS.values()}
    assert all(set(row) == titles for row in table().values())


@pytest.mark.parametrize("case", [case for case in CASES if case.cheap], ids=lambda case: case.name)
@pytest.mark.parametrize("name", ["fastem", "auto"])
def test_fastem_does_what_the_page_says(name, case):
    program = PROGRAMS[name]
    found = "not installed" if program.missing() else compared.run(program, case).verdict
    written = table()[case.name][program.title]
    assert compared.VERDICTS[found] == written, "python -m benchmarks.compared writes the page anew"


def test_every_program_passes_the_control():
    # a program that fails there is called wrongly, and its column says nothing
    assert set(table()["control"].values()) <= {"✓", "-"}
