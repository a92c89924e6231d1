"""
Allele frequencies of peppered moths
====================================

Of 622 moths 85 are carbonaria, 196 insularia and 341 typica. Colour is decided by one gene with
the alleles C, I and T, where C hides I and T, and I hides T. So a black moth may be CC, CI or CT;
EM counts the alleles as if it knew (Givens, Hoeting 2013, 4.2). The picture shows the six
genotypes that make up each colour.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from fastem import em


class Moths(NamedTuple):
    carbonaria: int
    insularia: int
    typica: int


@dataclass(frozen=True)
class Alleles:
    c: float
    i: float

    @property
    def t(self):
        return 1 - self.c - self.i

    def colours(self):
        """The probabilities of the three colours."""
        c, i, t = self.c, self.i, self.t
        return Moths(c * c + 2 * c * i + 2 * c * t, i * i + 2 * i * t, t * t)

    def e_step(self, moths):
        c, i, t = self.c, self.i, self.t
        black = moths.carbonaria / self.colours().carbonaria
        mottled = moths.insularia / self.colours().insularia
        # the expected number of each allele: two in a moth
        of_c = black * (2 * c * c + 2 * c * i + 2 * c * t)
        of_i = black * 2 * c * i + mottled * (2 * i * i + 2 * i * t)
        return of_c, of_i, 2 * sum(moths)

    def m_step(self, alleles):
        of_c, of_i, total = alleles
        return Alleles(of_c / total, of_i / total)

    def log_likelihood(self, moths):
        return sum(n * math.log(p) for n, p in zip(moths, self.colours(), strict=True))


MOTHS = Moths(85, 196, 341)


def main() -> None:
    result = em.run(Alleles(1 / 3, 1 / 3), MOTHS)
    model = result.model
    print(f"C {model.c:.10f}, I {model.i:.10f}, T {model.t:.10f}")
    print(result.information(MOTHS))

    draw(model)


def draw(model) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    c, i, t = model.c, model.i, model.t
    genotypes = {
        "carbonaria": {"CC": c * c, "CI": 2 * c * i, "CT": 2 * c * t},
        "insularia": {"II": i * i, "IT": 2 * i * t},
        "typica": {"TT": t * t},
    }
    _, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    for colour, parts in genotypes.items():
        left = 0.0
        for (name, share), shade in zip(
            parts.items(), ("#56B4E9", "#E69F00", "#F0E442"), strict=False
        ):
            width = share * sum(MOTHS)
            axes.barh(colour, width, left=left, color=shade, edgecolor="white")
            if width > 10:
                axes.text(left + width / 2, colour, name, ha="center", va="center")
            left += width
    axes.plot(MOTHS, list(genotypes), "D", color="#333333", label="moths seen")
    axes.invert_yaxis()
    axes.set_xlabel("moths expected, by genotype")
    axes.legend(frameon=False)
    plt.show()


if __name__ == "__main__":
    main()
