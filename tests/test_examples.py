"""Each script of examples/ runs from any folder, draws, and says what is missing if it cannot."""

import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_prints_and_draws(name, run_example):
    plt = pytest.importorskip("matplotlib.pyplot")
    before = sorted(EXAMPLES.iterdir())
    printed = run_example(name)
    assert printed.strip()
    figures = [plt.figure(number) for number in plt.get_fignums()]
    assert len(figures) == 1
    figures[0].canvas.draw()  # what cannot be drawn is found only now
    assert any(axes.has_data() for axes in figures[0].axes)
    assert sorted(EXAMPLES.iterdir()) == before
    assert not list(Path.cwd().iterdir())


def test_without_matplotlib_the_results_are_printed_and_the_remedy(run_example, monkeypatch):
    for module in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    printed = run_example("censored_times")
    assert "rate = 0.2631579" in printed
    assert "pip install 'fastem[plot]'" in printed


@pytest.mark.parametrize("name", SCRIPTS)
def test_its_page_has_a_title_and_what_to_see(name):
    lines = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()
    title, rule = lines[1], lines[2]
    assert lines[0] == '"""'
    assert rule == "=" * len(title)
    assert lines[3] == ""
    assert lines[4]
    assert "pip install 'fastem[plot]' to see the picture" in "\n".join(lines)
