"""Maximum likelihood: distributions fitted to values, whole or censored, labelled or not."""

from .fitting import fit
from .goodness import GoodnessOfFit
from .result import MaximumLikelihood

__all__ = ["GoodnessOfFit", "MaximumLikelihood", "fit"]
