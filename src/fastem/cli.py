"""The command ``fastem``: fit, apply, sample and draw mixtures from the shell.

NumPy and the estimators are imported inside the commands, so that ``fastem --help`` is quick.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import inspect
import io
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ._arguments import (
    Command,
    add_fit_options,
    add_info_options,
    add_plot_options,
    add_predict_options,
    add_sample_options,
    add_score_options,
    build_parser,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit status: 0 for success, 2 for a bad argument or file, 130 after Ctrl-C, 141 where
        the reader of the output has gone.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    if sys.platform == "win32" and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # tables are, whether printed or written
    try:
        options = build_parser(_COMMANDS, arguments).parse_args(arguments)
        with _warnings_in_one_line():
            options.run(options)
        sys.stdout.flush()
        return 0
    except SystemExit as stop:  # --help and --version
        return int(stop.code or 0)
    except KeyboardInterrupt:
        return _stop("fastem: interrupted", 130)
    except BrokenPipeError:
        _discard_output()
        return 141
    except (ImportError, MemoryError, OSError, ValueError) as error:
        return _stop(f"fastem: error: {_describe(error)}", 2)


def _stop(message: str, status: int) -> int:
    # What was printed so far goes out first; a full disk must not raise a second error at exit.
    try:
        sys.stdout.flush()
    except OSError:
        _discard_output()
    _print_line(message)
    return status


def _discard_output() -> None:
    """Send what is still buffered nowhere, so that the interpreter's last flush cannot fail."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _describe(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"out of memory: {str(error) or 'use fewer rows, columns or components'}"
    if isinstance(error, OSError) and error.strerror is not None:
        if error.filename is None:
            return f"cannot write to the standard output: {error.strerror.lower()}"
        bare = error.errno == errno.ENOENT and error.strerror == os.strerror(errno.ENOENT)
        reason = "no such file: check the path" if bare else error.strerror
        return f"{error.filename}: {reason}"
    return str(error) or type(error).__name__


@contextlib.contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Print warnings on stderr, one line each, without Python's file and line numbers."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # Columns are chosen by name before the estimator sees them as plain arrays.
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        try:
            yield
        finally:
            shown = [w for w in caught if issubclass(w.category, (UserWarning, RuntimeWarning))]
            for text in dict.fromkeys(str(w.message) for w in shown):
                _print_line(f"fastem: warning: {text}")


def _print_line(text: str) -> None:
    with contextlib.suppress(OSError):
        print(" ".join(text.split()), file=sys.stderr, flush=True)


def _fit(options: argparse.Namespace) -> None:
    from .io import save_model
    from .mixture import GaussianMixture

    if options.output == "-":
        raise ValueError("-o: a model is not written to the standard output, give a file's name")
    _check_output(options.output, options.data)
    X, weights, source = _training_data(options)
    known = inspect.signature(GaussianMixture).parameters
    parameters = {name: value for name, value in vars(options).items() if name in known}
    with _progress(options) as callbacks, warnings.catch_warnings():
        # The summary says it, with the options that mend it.
        warnings.filterwarnings("ignore", "(?s).*(did not converge|EM stopped after)")
        model = GaussianMixture(**parameters, callbacks=callbacks)
        start = time.perf_counter()
        model.fit(X) if weights is None else model.fit(X, sample_weight=weights)
        seconds = time.perf_counter() - start
    if model.stop_reason_ == "interrupted":
        raise KeyboardInterrupt
    model.set_params(callbacks=None)
    if options.output is not None:
        save_model(model, options.output)
    if not options.quiet:
        _print_summary(model, X, weights, source, seconds, options)
    elif not model.converged_:
        from . import _report

        _print_line(f"fastem: warning: {_report.outcome(model)}")


def _training_data(options: argparse.Namespace) -> tuple[Any, Any, str]:
    """Read the features (with names where the file has them) and weights, and describe them."""
    import numpy as np

    from .io import read_table
    from .tables.columns import count, listed, optional_module

    columns = options.columns
    if columns is not None and options.weights is not None:
        columns = [*columns, options.weights]
    table = read_table(options.data, columns, dtype=np.float32 if options.float32 else None)
    X, names, weights = table.values, table.names, None
    if options.weights is not None:
        at = X.shape[1] - 1 if columns is not None else table.position(options.weights)
        weights = np.ascontiguousarray(X[:, at])
        X = np.delete(X, at, axis=1)
        names = None if names is None else [*names[:at], *names[at + 1 :]]
        if X.shape[1] == 0:
            raise ValueError(f"{options.data}: no column is left beside the weights; add one")
    shape = f"{count(len(X), 'row')} x {count(X.shape[1], 'column')}"
    weighted = "" if options.weights is None else f", weighted by {options.weights}"
    if names is None:
        return X, weights, f"{options.data}: {shape}{weighted}"
    pandas = optional_module("pandas", "keeping the names of columns", "cli")
    frame = pandas.DataFrame(X, columns=names, copy=False)
    return frame, weights, f"{options.data}: {shape} ({listed(names)}){weighted}"


def _print_summary(
    model: Any, X: Any, weights: Any, source: str, seconds: float, options: argparse.Namespace
) -> None:
    import numpy as np

    from . import _report

    densities = model.score_samples(X)
    if weights is None:
        weights = np.ones(len(densities))
    # In double precision, whatever the type of the data.
    log_likelihood = float(densities.astype(np.float64) @ weights.astype(np.float64))
    n = float(weights.sum(dtype=np.float64))
    sizes = np.bincount(model.predict(X), minlength=options.n_components)
    starts = "" if options.n_init == 1 else f" ({options.n_init} starts, the best is kept)"
    lines = [
        ("Data", source),
        *_report.model_lines(model),
        *_report.likelihood_lines(model, log_likelihood, n),
        ("Fit", _report.outcome(model)),
        ("Time", f"{seconds:.3g} s{starts}"),
    ]
    if options.output is not None:
        lines.append(("Saved", options.output))
    width = _report.terminal_width()
    print(_report.aligned(lines, width))
    print()
    print(_report.component_table(model, sizes, width))


@contextlib.contextmanager
def _progress(options: argparse.Namespace) -> Iterator[list[Callable[[int, float, float], None]]]:
    """Draw a progress bar on a terminal, if the fit takes more than half a second."""
    try:
        from tqdm import tqdm
    except ImportError:  # a convenience, not worth an error
        yield []
        return
    size = shutil.get_terminal_size()
    with tqdm(
        total=options.max_iter * options.n_init,
        desc="fit",
        # Without tqdm's estimate of the time left: EM usually stops long before the last iteration.
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
        delay=0.5,
        leave=False,
        # Not tqdm's own guess: it draws nothing on a terminal that does not know its size.
        ncols=size.columns,
        nrows=size.lines,
        disable=True if options.quiet else None,  # None: only on a terminal
    ) as bar:
        start = 0

        def advance(iteration: int, log_likelihood: float, change: float) -> None:
            nonlocal start
            start += iteration == 1
            which = f"start {start}/{options.n_init}, " if options.n_init > 1 else ""
            bar.set_postfix_str(f"{which}log-likelihood {log_likelihood:.8g}", refresh=False)
            bar.update((start - 1) * options.max_iter + iteration - bar.n)

        yield [] if bar.disable else [advance]


def _predict(options: argparse.Namespace) -> None:
    from .io import write_table

    _check_output(options.output, options.data, options.model)
    model, X = _model_and_data(options)
    if options.proba:
        probabilities = model.predict_proba(X)
        columns = {"component": probabilities.argmax(axis=1)}
        columns |= {f"probability_{k}": column for k, column in enumerate(probabilities.T)}
    else:
        columns = {"component": model.predict(X)}
    write_table(options.output, columns)


def _score(options: argparse.Namespace) -> None:
    from . import _report
    from .io import write_table
    from .tables.columns import count

    _check_output(options.output, options.data, options.model)
    model, X = _model_and_data(options)
    densities = model.score_samples(X)
    log_likelihood = float(densities.sum(dtype="float64"))
    # The summary makes way where the densities go to the standard output.
    target = sys.stderr if options.output == "-" else sys.stdout
    lines = [
        ("Data", f"{options.data}: {count(len(X), 'row')}"),
        *_report.likelihood_lines(model, log_likelihood, len(X)),
    ]
    if options.output is not None:
        write_table(options.output, {"log_density": densities})
    print(_report.aligned(lines, _report.terminal_width()), file=target)


def _sample(options: argparse.Namespace) -> None:
    from . import _report
    from .io import write_table

    _check_output(options.output, options.model)
    model = _load_model(options.model)
    model.set_params(random_state=options.seed)
    X, components = model.sample(options.rows)
    columns = dict(zip(_report.column_labels(model), X.T, strict=True))
    label = "component"
    while label in columns:
        label += "_"
    write_table(options.output, {**columns, label: components})


def _info(options: argparse.Namespace) -> None:
    from . import _report
    from .tables.columns import listed

    model = _load_model(options.model)
    lines = [
        ("File", options.model),
        ("Columns", listed(_report.column_labels(model))),
        *_report.model_lines(model),
        ("Log-likelihood", f"{_report.fixed(model.lower_bound_)} per row of the fitted data"),
        ("Fit", _report.outcome(model)),
    ]
    width = _report.terminal_width()
    print(_report.aligned(lines, width))
    print()
    print(_report.component_table(model, None, width))


def _plot(options: argparse.Namespace) -> None:
    from .io import atomic_write
    from .plot import image_types, plot_mixture

    _check_output(options.output, options.data, options.model)
    kind = os.path.splitext(options.output)[1].removeprefix(".").lower()
    if kind not in image_types():
        raise ValueError(
            f"{options.output}: images of type {kind!r} cannot be drawn; name it .png, .pdf or .svg"
        )
    model, X = _model_and_data(options)
    figure = plot_mixture(model, X)
    with atomic_write(options.output, "wb") as file:
        figure.savefig(file, format=kind, dpi=150)


def _model_and_data(options: argparse.Namespace) -> tuple[Any, Any]:
    """Load the model, and the columns of the data that it was fitted on."""
    from .exceptions import DataFileError
    from .io import read_table
    from .tables import column_names

    model = _load_model(options.model)
    if getattr(options, "n_threads", None) is not None:
        model.set_params(n_threads=options.n_threads)
    columns = options.columns
    needed = [str(name) for name in getattr(model, "feature_names_in_", ())]
    if columns is None and needed:
        present = column_names(options.data)
        missing = [name for name in needed if present is not None and name not in present]
        if missing:
            raise DataFileError(
                f"{options.data} has no column {missing[0]!r}, on which the model was fitted; "
                f"rename a column, or choose {len(needed)} in the order {','.join(needed)} with "
                "--columns"
            )
        columns = None if present is None else needed
    X = read_table(options.data, columns).values
    if X.shape[1] != model.n_features_in_:
        raise DataFileError(
            f"the model was fitted on {model.n_features_in_} columns and {options.data} gives "
            f"{X.shape[1]}; choose the columns with --columns"
        )
    return model, X


def _load_model(path: str) -> Any:
    from . import mixture  # noqa: F401  (this makes the kinds of models known to the loader)
    from .io import load

    return load(path)


def _check_output(output: str | None, *inputs: str) -> None:
    """Find out before a long computation that the result could not be written."""
    from .io import check_destination

    if output is None or output == "-":
        return
    for path in inputs:
        if os.path.exists(output) and os.path.exists(path) and os.path.samefile(output, path):
            raise ValueError(f"{output} is read and cannot be the output too; choose another name")
    check_destination(output)


_COMMANDS = {
    "fit": Command(
        "fit a mixture to data",
        "Fit a Gaussian mixture by the EM algorithm and print a summary.",
        add_fit_options,
        _fit,
    ),
    "predict": Command(
        "assign rows to components",
        "Write the most probable component of every row, counted from 0, as CSV.",
        add_predict_options,
        _predict,
    ),
    "score": Command(
        "log-likelihood, BIC and AIC of data",
        "Print the log-likelihood of data under a model, BIC and AIC.",
        add_score_options,
        _score,
    ),
    "sample": Command(
        "draw rows from a model",
        "Draw rows at random from a model and write them, with their components, as CSV.",
        add_sample_options,
        _sample,
    ),
    "info": Command(
        "show the components of a model",
        "Print what a model file holds.",
        add_info_options,
        _info,
    ),
    "plot": Command(
        "draw data and components",
        "Draw the data coloured by component, with the means and the ellipses of 1 and 2 standard "
        "deviations.",
        add_plot_options,
        _plot,
    ),
}
