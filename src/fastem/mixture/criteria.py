"""What tells a good number of components: criteria of a fitted mixture, lower is better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import entr

from .family_fit import validated_rows

Criterion = Callable[[Any, Any, Any, Any], float]


def _measured(model: Any, X: Any, y: Any, sample_weight: Any) -> tuple[float, float, float, int]:
    """Log-likelihood, entropy of the responsibilities, sum of weights, free parameters."""
    rows, weight = validated_rows(model, X, y, sample_weight)
    densities, r, _ = model._score_rows(rows, log_likelihood=True, responsibilities=True)
    weight = np.ones(len(rows)) if weight is None else weight
    entropy = float(weight @ entr(r).sum(axis=1))
    return float(weight @ densities), entropy, float(weight.sum()), model._n_parameters()


def bic(model: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """-2 LL + p log n, n the sum of the weights (Schwarz 1978, Annals of Statistics 6)."""
    log_likelihood, _, total, n_parameters = _measured(model, X, y, sample_weight)
    return -2 * log_likelihood + n_parameters * float(np.log(total))


def aic(model: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """-2 LL + 2 p (Akaike 1974, IEEE Transactions on Automatic Control 19)."""
    log_likelihood, _, _, n_parameters = _measured(model, X, y, sample_weight)
    return -2 * log_likelihood + 2 * n_parameters


def icl(model: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """BIC + 2 entropy (Biernacki, Celeux, Govaert 2000)."""
    log_likelihood, entropy, total, n_parameters = _measured(model, X, y, sample_weight)
    return -2 * log_likelihood + n_parameters * float(np.log(total)) + 2 * entropy


#: name -> criterion of (model, X, y, sample_weight)
CRITERIA: dict[str, Criterion] = {"bic": bic, "aic": aic, "icl": icl}
