"""The order of the gallery: mixtures, then likelihood, then EM of one's own."""

from pathlib import Path

SCRIPTS = (
    *("old_faithful", "covariance_structures", "choosing_k", "collapse", "colour_segmentation"),
    *("mixture_of_families", "two_regressions", "acceleration"),
    "censored_lifetimes",
    *("genetic_linkage", "poisson_mixture", "peppered_moths", "missing_values"),
    *("censored_times", "exponential_missing"),
)


class Order:
    """What sphinx-gallery sorts the scripts of a folder by."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, file: str) -> int:
        return SCRIPTS.index(Path(file).stem)
