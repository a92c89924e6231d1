"""Maximum likelihood: distributions fitted to values, whole or censored, labelled or not."""

from .fitting import fit
from .goodness import GoodnessOfFit
from .labelled import LabelledFit
from .result import MaximumLikelihood

__all__ = ["GoodnessOfFit", "LabelledFit", "MaximumLikelihood", "fit"]
