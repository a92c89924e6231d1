# cython: freethreading_compatible=True
include "kernels.pxi"
