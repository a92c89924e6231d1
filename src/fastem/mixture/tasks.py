"""A fit as scikit-learn's callbacks see it (`set_callbacks`, scikit-learn 1.9): a tree of tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import em
from .starts import Fitted
from .verbose import VerboseReport


def listened_to(estimator: Any) -> bool:
    """Whether callbacks of scikit-learn's are set."""
    return "_skl_callbacks" in vars(estimator)


class FitTasks(VerboseReport):
    """Tells scikit-learn's callbacks of the fit, of its starts, and of their iterations.

    Parameters
    ----------
    estimator : GaussianMixture
    fitted : Fitted
        The rows of the fit.
    n_starts : int
    scale : float
        For the lines of `verbose`.
    """

    def __init__(self, estimator: Any, fitted: Fitted, n_starts: int, scale: float) -> None:
        super().__init__(estimator.verbose, estimator.verbose_interval, scale)
        self.told = _told(estimator, fitted)
        self.max_iter = int(estimator.max_iter)
        self.fit = estimator._init_callback_context(max_subtasks=n_starts)
        self.fit.call_on_fit_task_begin(**self.told)

    @property
    def callbacks(self) -> list[em.Callback]:
        return [*super().callbacks, self.task]

    def announced(self, start: Callable[[], Any]) -> Callable[[], Any]:
        announce_and_start = super().announced(start)

        def begin_and_start() -> Any:
            self.start = self.fit.subcontext("start", max_subtasks=self.max_iter)
            self.start.call_on_fit_task_begin(**self.told)
            return announce_and_start()

        return begin_and_start

    def task(self, iteration: int, log_likelihood: float, change: float) -> bool:
        """One iteration; whether a callback stops the start."""
        task = self.start.subcontext("iteration").call_on_fit_task_begin(**self.told)
        return bool(task.call_on_fit_task_end(**self.told))

    def finished(self, result: em.EMResult[Any]) -> None:
        super().finished(result)
        self.start.call_on_fit_task_end(**self.told)


def fit_ended(estimator: Any, fitted: Fitted) -> None:
    """The last that callbacks hear: the estimator has its attributes."""
    if listened_to(estimator):
        estimator._callback_fit_ctx.call_on_fit_task_end(
            **_told(estimator, fitted), reconstruction_attributes={}
        )


def _told(estimator: Any, fitted: Fitted) -> dict[str, Any]:
    weight = fitted.sample_weight
    metadata = None if weight is None else {"sample_weight": weight}
    return {"estimator": estimator, "X": fitted.X, "metadata": metadata}
