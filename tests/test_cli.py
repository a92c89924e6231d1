"""The command line, end to end: what it prints, what it writes, and how it fails."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastem
from fastem import GaussianMixture, cli, io
from fastem.covariances import COVARIANCES
from fastem.initialization import METHODS

pandas = pytest.importorskip("pandas")

FAITHFUL = str(Path(__file__).parent.parent / "examples" / "faithful.csv")
needs_dev_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
needs_pty = pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")


@pytest.fixture(scope="module")
def data():
    return pandas.read_csv(FAITHFUL)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("cli") / "geyser.fastem")
    assert cli.main(["fit", FAITHFUL, "-k", "2", "-o", path, "--quiet"]) == 0
    return path


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command line in this process; return status, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def succeeds(run):
    def call(*arguments):
        status, out, err = run(*arguments)
        assert err == ""
        assert status == 0
        return out

    return call


@pytest.fixture
def fails(run):
    """The message of a failure: one line on stderr, status 2, nothing else."""

    def call(*arguments):
        status, out, err = run(*arguments)
        assert status == 2
        assert out == ""
        assert err.startswith("fastem: error: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        return err.removeprefix("fastem: error: ").removesuffix("\n")

    return call


# Unbuffered, nothing is left to be written at exit, where a second error would be raised.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def spawn(*arguments, **kwargs):
    command = [sys.executable, "-m", "fastem", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **kwargs)


# --- end to end, in processes of their own --------------------------------------------------------


def test_session(tmp_path):
    """Fit, then use the model, as a user would at the shell."""
    fit = spawn("fit", FAITHFUL, "-k", "2", "-o", "m.fastem", cwd=tmp_path)
    assert (fit.returncode, fit.stderr) == (0, "")
    assert "272 rows x 2 columns (duration, waiting)" in " ".join(fit.stdout.split())
    predict = spawn("predict", "m.fastem", FAITHFUL, cwd=tmp_path)
    assert (predict.returncode, predict.stderr) == (0, "")
    lines = predict.stdout.splitlines()
    assert lines[0] == "component"
    assert len(lines) == 273
    loaded = io.load(tmp_path / "m.fastem")
    labels = loaded.predict(pandas.read_csv(FAITHFUL))
    assert_array_equal(np.array(lines[1:], dtype=int), labels)
    assert os.listdir(tmp_path) == ["m.fastem"]


def test_errors_leave_no_traceback(tmp_path):
    result = spawn("fit", "nowhere.csv", "-k", "2", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == "fastem: error: nowhere.csv: no such file: check the path\n"


SLOW_FIT = """
import sys, time
from fastem.mixture import GaussianMixture
fit = GaussianMixture.fit
def wait(*_):
    print("iterating", flush=True)
    time.sleep(0.2)
def slow(self, X, **kwargs):
    self.callbacks = [*(self.callbacks or []), wait]
    return fit(self, X, **kwargs)
GaussianMixture.fit = slow
from fastem.cli import main
sys.exit(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_ctrl_c_is_quiet_and_saves_nothing(tmp_path):
    arguments = ["fit", FAITHFUL, "-k", "2", "--tol", "0", "-o", "m.fastem"]
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_FIT, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "iterating\n"
        # One Ctrl-C was lost twice in a dozen runs of the suite: Python drops a KeyboardInterrupt
        # that comes while it runs a finaliser. Then, as people do, once more.
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            try:
                _, err = process.communicate(timeout=4)
                break
            except subprocess.TimeoutExpired:
                continue
        else:
            process.kill()
    assert process.returncode == 130
    assert err.splitlines()[-1] == "fastem: interrupted"
    assert "Traceback" not in err or "Exception ignored" in err
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="needs pipes")
def test_a_reader_that_goes_away_is_no_error(model_path):
    with subprocess.Popen(
        [sys.executable, "-m", "fastem", "sample", model_path, "-n", "300000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "duration,waiting,component\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 141


@pytest.mark.skipif(os.name != "posix", reason="needs pipes")
def test_a_reader_that_was_never_there_is_no_error(model_path):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        result = subprocess.run(
            [sys.executable, "-m", "fastem", "info", model_path],
            env=BUFFERED,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert (result.returncode, result.stderr) == (141, "")


@needs_dev_full
def test_full_standard_output(model_path):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "fastem", "info", model_path],
            env=BUFFERED,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert result.returncode == 2
    expected = "fastem: error: cannot write to the standard output: no space left on device\n"
    assert result.stderr == expected


HELP_WITHOUT_NUMPY = """
import sys, types
package = types.ModuleType("fastem")  # the package without the names that it exports
package.__path__ = [sys.argv[1]]
sys.modules["fastem"] = package
from fastem.cli import main
status = main(["--help"]) or main(["predict", "--help"])
print(sorted({"numpy", "sklearn", "pandas"} & set(sys.modules)), status)
"""


def test_help_imports_no_numerics():
    folder = os.path.dirname(fastem.__file__)
    command = [sys.executable, "-c", HELP_WITHOUT_NUMPY, folder]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.stdout.splitlines()[-1] == "[] 0"


# --- fit ------------------------------------------------------------------------------------------


def test_summary_states_the_fit(data, succeeds, model_path):
    out = succeeds("fit", FAITHFUL, "-k", "2")
    model = GaussianMixture(2, random_state=0).fit(data)
    total = model.score(data) * len(data)
    assert f"Log-likelihood  {total:.3f} ({total / 272:.3f} per row)\n" in out
    assert f"BIC             {11 * np.log(272) - 2 * total:.3f}\n" in out
    assert f"AIC             {11 * 2 - 2 * total:.3f}\n" in out
    assert "2 components, full covariance, 11 free parameters\n" in out
    assert f"converged in {model.n_iter_} iterations" in out
    assert re.search(r"^Time +[0-9.e-]+ s$", out, re.M)
    table = [line.split() for line in out.splitlines()[-2:]]
    sizes = np.bincount(model.predict(data))
    for k, row in enumerate(table):
        assert row[:3] == [str(k), f"{model.weights_[k]:.4f}", str(sizes[k])]
        assert_allclose(np.array(row[3::2], dtype=float), model.means_[k], rtol=1e-3)
        sds = np.sqrt(np.diag(model.covariances_[k]))
        assert_allclose([float(cell.strip("()")) for cell in row[4::2]], sds, rtol=1e-2)


def test_the_table_is_aligned(succeeds):
    lines = succeeds("fit", FAITHFUL, "-k", "3").splitlines()
    table = lines[lines.index("") + 2 :]
    assert len(table) == 4
    assert len({len(line) for line in table}) == 1


def test_all_options_reach_the_estimator(data, succeeds, tmp_path):
    path = tmp_path / "m.fastem"
    options = {
        "--covariance": "tied",
        "--init": "random_from_data",
        "--n-init": 3,
        "--max-iter": 50,
        "--tol": 1e-4,
        "--reg-covar": 1e-3,
        "--seed": 7,
        "--threads": 1,
    }
    succeeds("fit", FAITHFUL, "-k", 3, "-o", path, *[w for item in options.items() for w in item])
    loaded = io.load(path)
    expected = GaussianMixture(
        3,
        covariance_type="tied",
        init_params="random_from_data",
        n_init=3,
        max_iter=50,
        tol=1e-4,
        reg_covar=1e-3,
        random_state=7,
        n_threads=1,
    )
    assert loaded.get_params() == expected.get_params()
    assert_array_equal(loaded.means_, expected.fit(data).means_)


@pytest.mark.parametrize("name", COVARIANCES)
def test_every_covariance_is_offered(succeeds, name):
    out = succeeds("fit", FAITHFUL, "-k", 2, "--covariance", name)
    assert f"2 components, {name} covariance" in out


@pytest.mark.parametrize("name", METHODS)
def test_every_start_is_offered(succeeds, name):
    assert "2 components" in succeeds("fit", FAITHFUL, "-k", 2, "--init", name)


def test_columns_and_weights(data, succeeds, tmp_path):
    path = tmp_path / "m.fastem"
    out = succeeds("fit", FAITHFUL, "-k", 2, "--weights", "waiting", "-o", path)
    assert "272 rows x 1 column (duration), weighted by waiting" in " ".join(out.split())
    X, weights = data[["duration"]], data["waiting"].to_numpy(dtype=float)
    expected = GaussianMixture(2, random_state=0).fit(X, sample_weight=weights)
    loaded = io.load(path)
    assert_array_equal(loaded.means_, expected.means_)
    assert list(loaded.feature_names_in_) == ["duration"]
    total = float(expected.score_samples(X) @ weights)
    assert f"Log-likelihood  {total:.3f} ({total / weights.sum():.3f} per row)" in out
    for feature in ("duration", "1"):
        arguments = ["--columns", feature, "--weights", "2", "-o", path]
        succeeds("fit", FAITHFUL, "-k", 2, *arguments)
        assert_array_equal(io.load(path).means_, expected.means_)
    succeeds("fit", FAITHFUL, "-k", 2, "--columns", "waiting, duration", "-o", path)
    assert list(io.load(path).feature_names_in_) == ["waiting", "duration"]


def test_float32(succeeds, tmp_path):
    succeeds("fit", FAITHFUL, "-k", 2, "--float32", "-o", tmp_path / "m.fastem")
    assert io.load(tmp_path / "m.fastem").means_.dtype == np.float32


def test_same_command_same_model(succeeds, tmp_path):
    for name in ("a", "b"):
        succeeds("fit", FAITHFUL, "-k", 4, "--init", "random", "-o", tmp_path / name)
    assert_array_equal(io.load(tmp_path / "a").means_, io.load(tmp_path / "b").means_)


def test_no_convergence_is_said_plainly(run, succeeds):
    out = " ".join(succeeds("fit", FAITHFUL, "-k", 3, "--max-iter", 2).split())
    assert "NOT converged after 2 iterations" in out
    assert "allow more iterations with --max-iter" in out
    status, out, err = run("fit", FAITHFUL, "-k", 3, "--max-iter", 2, "--quiet")
    assert (status, out) == (0, "")
    assert err.startswith("fastem: warning: NOT converged after 2 iterations")
    assert err.count("\n") == 1


def test_other_warnings_take_one_line(run, monkeypatch):
    fit = GaussianMixture.fit

    def warn(self, X, **kwargs):
        for _ in range(3):
            warnings.warn("component 1 has\n collapsed", RuntimeWarning, stacklevel=1)
        warnings.warn("of no interest here", DeprecationWarning, stacklevel=1)
        return fit(self, X, **kwargs)

    monkeypatch.setattr(GaussianMixture, "fit", warn)
    status, _, err = run("fit", FAITHFUL, "-k", 2)
    assert status == 0
    assert err == "fastem: warning: component 1 has collapsed\n"


def test_quiet(succeeds):
    assert succeeds("fit", FAITHFUL, "-k", 2, "--quiet") == ""


@pytest.mark.parametrize("n_columns", [1, 4, 12, 60])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_wide_tables_are_cut_into_blocks(succeeds, tmp_path, monkeypatch, n_columns, width):
    monkeypatch.setenv("COLUMNS", str(width))
    X = np.random.default_rng(0).normal(loc=1000.0, size=(200, n_columns))
    np.save(tmp_path / "X.npy", X)
    out = succeeds("fit", tmp_path / "X.npy", "-k", 2, "--covariance", "diag")
    table = out[out.index("\nComponents") :]
    assert max(map(len, table.splitlines()[2:])) <= width
    shown = min(n_columns, 50)
    assert re.findall(r"\bx\d+\b", table) == [f"x{i + 1}" for i in range(shown)]
    assert ("more columns" in table) == (n_columns > shown)
    assert table.count("weight") == 1
    assert len(re.findall(r"^ *0 ", table, re.M)) == len(re.findall("^component ", table, re.M))


def test_progress_is_silent_in_a_pipe_and_short_on_a_terminal(monkeypatch, capsys):
    pytest.importorskip("tqdm")
    pty = pytest.importorskip("pty")
    fit = GaussianMixture.fit

    def watched(pause, is_terminal):
        """What a fit of 20 iterations draws on stderr."""

        def slow(self, X, **kwargs):
            self.callbacks = [*self.callbacks, lambda *_: time.sleep(pause)]
            return fit(self, X, **kwargs)

        monkeypatch.setattr(GaussianMixture, "fit", slow)
        reader, writer = pty.openpty() if is_terminal else os.pipe()
        drawn = []

        def drain():
            try:
                while piece := os.read(reader, 65536):
                    drawn.append(piece)
            except OSError:  # how a pseudo-terminal ends
                pass

        thread = threading.Thread(target=drain)
        thread.start()
        with monkeypatch.context() as patch, os.fdopen(writer, "w") as stderr:
            patch.setattr(sys, "stderr", stderr)
            arguments = ["fit", FAITHFUL, "-k", "2", "--tol", "0", "--max-iter", "20"]
            assert cli.main(arguments) == 0
        thread.join()
        os.close(reader)
        return b"".join(drawn).decode()

    assert watched(0.06, is_terminal=False) == ""
    assert watched(0.0, is_terminal=True) == ""
    bar = watched(0.06, is_terminal=True)
    assert re.search(r"fit: +\d+%.*/20 .*log-likelihood -11\d\d", bar)
    assert bar.endswith(" \r")  # the last thing is to wipe it out
    capsys.readouterr()


# --- predict, score, sample, info, plot -----------------------------------------------------------


def read(path):
    return pandas.read_csv(path)


def test_predict(data, succeeds, model_path, tmp_path):
    loaded = io.load(model_path)
    out = tmp_path / "labels.csv"
    assert succeeds("predict", model_path, FAITHFUL, "-o", out) == ""
    assert list(read(out)) == ["component"]
    assert_array_equal(read(out)["component"], loaded.predict(data))
    assert succeeds("predict", model_path, FAITHFUL, "-o", out, "--proba", "--threads", 1) == ""
    assert list(read(out)) == ["component", "probability_0", "probability_1"]
    assert_array_equal(read(out)["component"], loaded.predict(data))
    assert_allclose(read(out).to_numpy()[:, 1:], loaded.predict_proba(data), rtol=1e-12)


def test_columns_are_found_by_name(data, succeeds, model_path, tmp_path):
    expected = succeeds("predict", model_path, FAITHFUL)
    shuffled = data.assign(place="Yellowstone")[["place", "waiting", "duration"]]
    shuffled.to_csv(tmp_path / "shuffled.tsv", sep="\t", index=False)
    assert succeeds("predict", model_path, tmp_path / "shuffled.tsv") == expected
    shuffled.to_parquet(tmp_path / "shuffled.parquet")
    assert succeeds("predict", model_path, tmp_path / "shuffled.parquet") == expected
    chosen = succeeds("predict", model_path, tmp_path / "shuffled.tsv", "--columns", "3,waiting")
    assert chosen == expected


def test_files_without_names_go_by_position(data, succeeds, fails, model_path, tmp_path):
    expected = succeeds("predict", model_path, FAITHFUL)
    np.save(tmp_path / "X.npy", data.to_numpy(dtype=float))
    assert succeeds("predict", model_path, tmp_path / "X.npy") == expected
    data.to_csv(tmp_path / "bare.csv", header=False, index=False)
    assert succeeds("predict", model_path, tmp_path / "bare.csv") == expected
    np.save(tmp_path / "X.npy", np.zeros((5, 3)))
    message = fails("predict", model_path, tmp_path / "X.npy")
    assert "fitted on 2 columns" in message
    assert "gives 3; choose the columns with --columns" in message


def test_a_missing_column_is_named(data, fails, model_path, tmp_path):
    data.rename(columns={"waiting": "pause"}).to_csv(tmp_path / "new.csv", index=False)
    for command in ("predict", "score"):
        message = fails(command, model_path, tmp_path / "new.csv")
        assert "has no column 'waiting', on which the model was fitted" in message
        assert "in the order duration,waiting with --columns" in message


def test_score(data, run, succeeds, model_path, tmp_path):
    loaded = io.load(model_path)
    total = loaded.score(data) * 272
    out = succeeds("score", model_path, FAITHFUL, "-o", tmp_path / "rows.csv")
    assert f"{FAITHFUL}: 272 rows" in " ".join(out.split())
    assert f"Log-likelihood  {total:.3f} ({total / 272:.3f} per row)\n" in out
    assert f"BIC             {11 * np.log(272) - 2 * total:.3f}\n" in out
    assert f"AIC             {11 * 2 - 2 * total:.3f}\n" in out
    rows = read(tmp_path / "rows.csv")
    assert list(rows) == ["log_density"]
    assert_allclose(rows["log_density"], loaded.score_samples(data), rtol=1e-13)
    status, out, err = run("score", model_path, FAITHFUL, "-o", "-")
    assert status == 0
    assert out == (tmp_path / "rows.csv").read_text()
    assert "BIC" in err


def test_sample(succeeds, model_path, tmp_path):
    first = succeeds("sample", model_path, "-n", 2000, "--seed", 3)
    assert first == succeeds("sample", model_path, "-n", 2000, "--seed", 3)
    assert first != succeeds("sample", model_path, "-n", 2000, "--seed", 4)
    assert first != succeeds("sample", model_path, "-n", 2000)
    assert succeeds("sample", model_path, "-n", 2000, "--seed", 3, "-o", tmp_path / "s.csv") == ""
    assert (tmp_path / "s.csv").read_text() == first
    sample = read(tmp_path / "s.csv")
    assert list(sample) == ["duration", "waiting", "component"]
    loaded = io.load(model_path)
    for k, rows in sample.groupby("component"):
        assert_allclose(rows[["duration", "waiting"]].mean(), loaded.means_[k], rtol=0.05)
    assert_allclose(sample["component"].mean(), loaded.weights_[1], atol=0.05)


def test_sample_never_loses_a_column(succeeds, tmp_path):
    (tmp_path / "data.csv").write_text("component,x\n" + "1,2\n2,1\n3,5\n4,4\n" * 5)
    succeeds("fit", tmp_path / "data.csv", "-k", 1, "-o", tmp_path / "m.fastem")
    out = succeeds("sample", tmp_path / "m.fastem", "-n", 1)
    assert out.splitlines()[0] == "component,x,component_"


def test_info_shows_the_same_components(succeeds, model_path):
    fit = succeeds("fit", FAITHFUL, "-k", 2)
    info = succeeds("info", model_path)
    for line in ("2 components, full covariance, 11 free parameters", "converged in"):
        assert line in info
    rows = [line.split() for line in fit.splitlines()[-2:]]
    without_sizes = [row[:2] + row[3:] for row in rows]
    assert [line.split() for line in info.splitlines()[-2:]] == without_sizes
    assert "duration, waiting" in info


@pytest.mark.parametrize(
    ("kind", "magic"), [("png", b"\x89PNG"), ("SVG", b"<?xml"), ("pdf", b"%PDF")]
)
def test_plot(succeeds, model_path, tmp_path, kind, magic):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"picture.{kind}"
    assert succeeds("plot", model_path, FAITHFUL, "-o", path) == ""
    assert path.read_bytes().startswith(magic)
    assert os.listdir(tmp_path) == [path.name]


def test_plot_of_an_unknown_kind(fails, model_path, tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("picture.bmp3", "picture"):
        message = fails("plot", model_path, FAITHFUL, "-o", tmp_path / name)
        assert "name it .png, .pdf or .svg" in message


# --- help and errors ------------------------------------------------------------------------------


def test_help(succeeds):
    out = succeeds("--help")
    for command in ("fit", "predict", "score", "sample", "info", "plot"):
        assert re.search(rf"^    {command} ", out, re.M)
        assert f"usage: fastem {command} " in succeeds(command, "--help")
    assert "examples:\n  fastem fit faithful.csv -k 2 -o geyser.fastem" in out
    assert max(map(len, out.splitlines())) <= 100
    # Choices and defaults are the estimator's own.
    out = " ".join(succeeds("fit", "--help").split())
    assert "{" + ",".join(COVARIANCES) + "}" in out
    assert "{" + ",".join(METHODS) + "}" in out
    assert f"(default: {GaussianMixture().max_iter})" in out


def test_version(succeeds):
    assert succeeds("--version") == f"fastem {fastem.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "the following arguments are required: COMMAND (see fastem --help)"),
        (["fits"], "invalid choice: 'fits'"),
        (["fit", FAITHFUL], "required: -k/--components (see fastem fit --help)"),
        (["fit", "-k", "2"], "required: DATA"),
        (["fit", FAITHFUL, "-k", "0"], "-k/--components: 0 is too small; it must be at least 1"),
        (["fit", FAITHFUL, "-k", "-3"], "-3 is too small"),
        (["fit", FAITHFUL, "-k", "two"], "'two' is not a whole number"),
        (["fit", FAITHFUL, "-k", "2.5"], "'2.5' is not a whole number"),
        (["fit", FAITHFUL, "-k", "2", "--n-init", "0"], "--n-init: 0 is too small"),
        (["fit", FAITHFUL, "-k", "2", "--max-iter", "0"], "--max-iter: 0 is too small"),
        (["fit", FAITHFUL, "-k", "2", "--tol", "-1"], "--tol: -1 is out of range; it must be at"),
        (["fit", FAITHFUL, "-k", "2", "--tol", "nan"], "--tol: nan is out of range"),
        (["fit", FAITHFUL, "-k", "2", "--tol", "inf"], "--tol: inf is out of range"),
        (["fit", FAITHFUL, "-k", "2", "--reg-covar", "x"], "--reg-covar: 'x' is not a number"),
        (["fit", FAITHFUL, "-k", "2", "--threads", "0"], "--threads: 0 is no number of threads"),
        (["fit", FAITHFUL, "-k", "2", "--seed", "-1"], "--seed: -1 is too small"),
        (["fit", FAITHFUL, "-k", "2", "--seed", "4294967296"], "--seed: 4294967296 is too large"),
        (["sample", "m.fastem", "-n", "9" * 30], "it must be at most 2147483647"),
        (["fit", FAITHFUL, "-k", "2", "--covariance", "round"], "invalid choice: 'round'"),
        (["fit", FAITHFUL, "-k", "2", "--init", "guess"], "invalid choice: 'guess'"),
        (["fit", FAITHFUL, "-k", "2", "--columns", "a,,b"], "'a,,b' is not a list of columns"),
        (["fit", FAITHFUL, "-k", "2", "--columns", ""], "'' is not a list of columns"),
        (["fit", FAITHFUL, "-k", "2", "--colums", "a"], "unrecognized arguments: --colums a"),
        (["fit", FAITHFUL, "-k", "2", "--covar", "full"], "unrecognized arguments: --covar full"),
        (["fit", FAITHFUL, "-k", "2", "--columns", "a"], "no column named 'a'"),
        (["fit", FAITHFUL, "-k", "2", "--columns", "3"], "no column number 3"),
        (["fit", FAITHFUL, "-k", "2", "--weights", "w"], "no column named 'w'"),
        (
            ["fit", FAITHFUL, "-k", "2", "--columns", "1", "--weights", "1"],
            "column '1' is chosen twice",
        ),
        (["fit", FAITHFUL, "-k", "300"], "n_components = 300, n_samples = 272"),
        (["fit", os.sep, "-k", "2"], f"{os.sep} is a folder"),
        (["fit", "-", "-k", "2"], "-: data are not read from the standard input"),
        (["fit", FAITHFUL, "-k", "2", "-o", "-"], "a model is not written to the standard output"),
        (["predict", "nowhere.fastem", FAITHFUL], "nowhere.fastem: no such file: check the path"),
        (["predict", FAITHFUL, FAITHFUL], "is not a fastem model file"),
        (["info", FAITHFUL], "is not a fastem model file"),
        (["info", os.sep], "is a folder, not a model file"),
        (["sample", "m", "-n", "0"], "-n/--rows: 0 is too small"),
        (["plot", "m", FAITHFUL], "required: -o/--output"),
    ],
)
def test_bad_arguments(fails, arguments, part):
    assert part in fails(*arguments)


def test_bad_data(fails, model_path, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("duration,waiting\n1,2\n3,\n")
    for arguments in (["fit", path, "-k", 1], ["predict", model_path, path]):
        message = fails(*arguments)
        assert message.startswith(f"{path}, line 3, column 'waiting': the cell is empty")
    path.write_text("duration,waiting\n1,2\n3,4,5\n")
    assert "line 3: 3 cells where the header has 2" in fails("fit", path, "-k", 1)
    path.write_text("w\n1\n2\n")
    assert "no column is left beside the weights" in fails("fit", path, "-k", 1, "--weights", "w")
    path.write_text("x,w\n1,1\n2,-1\n3,1\n")
    assert "negative" in fails("fit", path, "-k", 1, "--weights", "w").lower()


def test_bad_destinations_are_found_before_the_work(fails, model_path, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the work was begun")

    monkeypatch.setattr(GaussianMixture, "fit", refuse)
    monkeypatch.setattr(GaussianMixture, "predict", refuse)
    nowhere = tmp_path / "nowhere" / "out"
    for arguments in (
        ["fit", FAITHFUL, "-k", 2, "-o", nowhere],
        ["predict", model_path, FAITHFUL, "-o", nowhere],
    ):
        message = fails(*arguments)
        assert message.startswith(f"{nowhere}: cannot write this file")
        assert message.endswith("the folder does not exist: create it first")
    assert "it is a folder" in fails("fit", FAITHFUL, "-k", 2, "-o", tmp_path)


def test_inputs_are_never_overwritten(fails, model_path, tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(Path(FAITHFUL).read_bytes())
    (tmp_path / "link.csv").symlink_to(path)
    for arguments in (
        ["fit", path, "-k", 2, "-o", path],
        ["predict", model_path, path, "-o", tmp_path / "link.csv"],
        ["score", model_path, path, "-o", model_path],
        ["sample", model_path, "-n", 1, "-o", model_path],
    ):
        assert "is read and cannot be the output too" in fails(*arguments)
    assert path.read_bytes() == Path(FAITHFUL).read_bytes()
    assert io.load(model_path).n_components == 2


@needs_dev_full
def test_full_disk(run, model_path):
    for arguments in (
        ["predict", model_path, FAITHFUL, "-o", "/dev/full"],
        ["sample", model_path, "-n", 10, "-o", "/dev/full"],
        ["fit", FAITHFUL, "-k", 2, "--quiet", "-o", "/dev/full"],
    ):
        status, _, err = run(*arguments)
        assert status == 2
        assert err.startswith("fastem: error: /dev/full: cannot write this file: no space left")
        assert err.count("\n") == 1


def test_memory(fails, monkeypatch):
    def exhaust(*_, **__):
        raise MemoryError

    monkeypatch.setattr(GaussianMixture, "fit", exhaust)
    assert fails("fit", FAITHFUL, "-k", 2).startswith("out of memory: use fewer rows")


def test_missing_package(fails, model_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert "pip install 'fastem[cli]'" in fails("predict", model_path, FAITHFUL)
    monkeypatch.setitem(sys.modules, "matplotlib.backend_bases", None)
    message = fails("plot", model_path, FAITHFUL, "-o", "picture.png")
    assert "pip install 'fastem[plot]'" in message


def test_absent_tqdm_is_no_error(succeeds, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert "converged" in succeeds("fit", FAITHFUL, "-k", 2)


def test_bugs_are_not_disguised(monkeypatch):
    def bug(*_, **__):
        raise KeyError("bug")

    monkeypatch.setattr(GaussianMixture, "fit", bug)
    with pytest.raises(KeyError, match="bug"):
        cli.main(["fit", FAITHFUL, "-k", "2"])
