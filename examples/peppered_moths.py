"""Allele frequencies of peppered moths: of 622 moths 85 are carbonaria, 196 insularia, 341 typica.

Colour is decided by one gene with the alleles C, I and T, where C hides I and T, and I hides T. So
a black moth may be CC, CI or CT; EM counts the alleles as if it knew (Givens, Hoeting 2013, 4.2).
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


if __name__ == "__main__":
    main()
