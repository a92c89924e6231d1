"""Covariance structures: one file each, and one line here."""

from .base import Covariance
from .diag import Diag
from .full import Full
from .spherical import Spherical
from .tied import Tied

__all__ = ["COVARIANCES", "Covariance"]

#: name -> structure; the choices of every estimator, of the command line and of the tests
COVARIANCES: dict[str, Covariance] = {
    structure.name: structure for structure in (Full(), Tied(), Diag(), Spherical())
}
