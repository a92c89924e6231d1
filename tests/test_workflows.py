"""The workflows: what they may do, what they run, and that they agree with pyproject.toml.

Read line by line: a parser of YAML would hide the comments, which name the versions.
"""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))

if not WORKFLOWS:
    pytest.skip("beside an installed wheel there are no workflows", allow_module_level=True)

workflows = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def script(name):
    """A script of .github/scripts as a module."""
    spec = importlib.util.spec_from_file_location(name, GITHUB / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def jobs(path):
    """Name -> text of each job of a workflow."""
    text = path.read_text(encoding="utf-8").split("\njobs:\n", 1)[1]
    parts = re.split(r"(?m)^  ([a-z-]+):\n", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def run_scripts(text):
    """The shell scripts of `run:` steps: the rest of the line, and what is indented below."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        match = re.match(r"(?P<indent> *(?:- )?)run: (?P<first>.*)", line)
        if match is None:
            continue
        body = [match["first"]]
        for below in lines[number + 1 :]:
            if below.strip() and len(below) - len(below.lstrip()) <= len(match["indent"]):
                break
            body.append(below)
        yield "\n".join(body)


@workflows
def test_actions_are_pinned(path):
    uses = re.findall(r"(?m)^ *(?:- )?uses: *(.*)$", path.read_text(encoding="utf-8"))
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} +# v\d+\.\d+\.\d+", action), action


def test_an_action_has_one_version_everywhere():
    found = {}
    for path in WORKFLOWS:
        for name, rest in re.findall(r"uses: (\S+)@(.*)", path.read_text(encoding="utf-8")):
            found.setdefault(name, set()).add(rest.replace("  #", " #"))
    assert {name: pins for name, pins in found.items() if len(pins) > 1} == {}


@workflows
def test_permissions_are_least(path):
    text = path.read_text(encoding="utf-8")
    assert "\npermissions: {}\n" in text
    wanted = {
        "publish": {"id-token: write", "attestations: write"},
        "publish-testpypi": {"id-token: write"},
        "deploy-docs": {"pages: write", "id-token: write"},
    }
    for name, job in jobs(path).items():
        body = re.search(r"(?m)^    permissions:\n((?:      .*\n)+)", job)
        given = {line.partition("#")[0].strip() for line in body[1].splitlines()}
        assert given == wanted.get(name, {"contents: read"}), name
    for name in wanted.keys() & jobs(path).keys():
        assert "actions/checkout" not in jobs(path)[name]  # no code of the repository runs there


@workflows
def test_no_credentials_are_left_and_no_job_runs_for_hours(path):
    for name, job in jobs(path).items():
        assert job.count("actions/checkout@") == job.count("persist-credentials: false"), name
        assert "\n    timeout-minutes: " in job, name
    assert "\nconcurrency:\n" in path.read_text(encoding="utf-8")


@workflows
def test_scripts_take_values_from_the_environment(path):
    scripts = list(run_scripts(path.read_text(encoding="utf-8")))
    assert scripts
    for text in scripts:
        assert "${{" not in text, f"hand it over in env: {text}"


def test_the_scripts_of_a_step_are_found_whole():
    text = (
        "      - run: one\n      - name: two\n        run: |\n          two\n\n          ${{ x }}\n"
    )
    text += "        env:\n          A: ${{ a }}\n"
    assert list(run_scripts(text)) == ["one", "|\n          two\n\n          ${{ x }}"]


def test_what_is_published_is_what_was_checked():
    parts = jobs(GITHUB / "workflows" / "wheels.yml")
    for name in ("publish", "publish-testpypi"):
        assert "needs: check\n" in parts[name]
        assert "    environment:\n" in parts[name]
    assert "if: github.event_name == 'release'" in parts["publish"]
    assert "needs: [sdist, wheels]" in parts["check"]
    assert "cache" not in "".join(parts.values()).replace("no:cacheprovider", "")


def test_the_matrix_is_that_of_the_metadata():
    found = re.search(r"(?m)^        python: \[(.*)\]$", (WORKFLOWS[0]).read_text("utf-8"))
    assert WORKFLOWS[0].name == "ci.yml"
    tested = set(re.findall(r'"(3\.\d+)"', found[1]))
    said = {line.rpartition(" ")[2] for line in PYPROJECT["project"]["classifiers"]}
    assert tested == {version for version in said if re.fullmatch(r"3\.\d+", version)}
    assert f">={min(tested)}" == PYPROJECT["project"]["requires-python"]


def test_oldest_versions_are_the_lower_bounds():
    oldest = script("oldest").oldest(PYPROJECT["project"])
    assert {"numpy", "scipy", "scikit-learn", "pandas", "matplotlib"} <= oldest.keys()
    for name, version in oldest.items():
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        assert re.search(rf'"{name}>={re.escape(version)}[",;]', text)


def test_a_requirement_without_a_lower_bound_is_refused():
    project = {"dependencies": ["numpy"], "optional-dependencies": {"cli": [], "plot": []}}
    with pytest.raises(SystemExit, match="'numpy' has no lower bound"):
        script("oldest").oldest(project)


def wheels(folder, module, version="1.0"):
    """Empty files under all the names that a release must have."""
    for python, platforms in module.EXPECTED.items():
        for platform in platforms:
            (folder / f"fastem-{version}-{python}-{platform}.whl").touch()
    (folder / f"fastem-{version}.tar.gz").touch()


def test_a_release_must_be_whole(tmp_path):
    module = script("check_wheels")
    wheels(tmp_path, module)
    assert module.problems(tmp_path) == []
    # as auditwheel names them
    old = tmp_path / "fastem-1.0-cp311-abi3-manylinux_2_28_x86_64.whl"
    old.rename(tmp_path / "fastem-1.0-cp311-abi3-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl")
    assert module.problems(tmp_path) == []
    (tmp_path / "fastem-1.0-cp311-abi3-win_arm64.whl").unlink()
    (tmp_path / "fastem-1.0.tar.gz").unlink()
    found = "\n".join(module.problems(tmp_path))
    assert "no wheel for cp311-abi3 on win_arm64" in found
    assert "0 sdists" in found


def test_a_release_has_nothing_else(tmp_path, monkeypatch):
    module = script("check_wheels")
    wheels(tmp_path, module)
    (tmp_path / "fastem-1.0-cp310-cp310-win_amd64.whl").touch()
    assert module.problems(tmp_path) == [
        "fastem-1.0-cp310-cp310-win_amd64.whl: not expected, or there twice"
    ]
    monkeypatch.setattr(module, "LARGEST_SDIST", -1)
    assert any("0 bytes, above" in line for line in module.problems(tmp_path))


def test_the_wheels_looked_for_are_those_that_are_built():
    config, expected = PYPROJECT["tool"]["cibuildwheel"], script("check_wheels").EXPECTED
    platforms = {name for names in expected.values() for name in names}
    macs = {name for name in platforms if name.startswith("macosx")}
    assert macs == {
        f"{part['select'].removeprefix('*-').replace('macosx', 'macosx_' + target)}"
        for part in config["overrides"]
        if (target := part.get("environment", {}).get("MACOSX_DEPLOYMENT_TARGET"))
        and (target := target.replace(".", "_"))
    }
    free_threaded = set(expected["cp314-cp314t"])
    assert free_threaded == set(expected["cp315-cp315t"])
    assert {n for n in platforms - free_threaded} == {n for n in platforms if "musl" in n}
    assert config["skip"] == ["cp3??t-musllinux_*"]
    runners = re.findall(
        r"(?m)^          - (\S+)$", jobs(GITHUB / "workflows/wheels.yml")["wheels"]
    )
    assert len(runners) == len({n for n in platforms if "musl" not in n})  # each builds its own


def test_licences_of_what_is_bundled_say_where():
    folder = ROOT / "src" / "fastem" / "_kernels" / "licenses"
    assert "src/fastem/_kernels/licenses/*.txt" in PYPROJECT["project"]["license-files"]
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.txt")}
    assert len(texts) == 4
    for name, text in texts.items():
        head, rule, licence = text.partition("\n" + "-" * 78 + "\n")
        assert "wheel" in head, name
        assert rule, name
        assert len(licence) > 300, name
