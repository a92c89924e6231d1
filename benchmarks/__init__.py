"""Benchmarks of fastem beside NumPy, scikit-learn and oneDAL: ``python -m benchmarks --help``.

===============  ==================================================================
file             what it holds
===============  ==================================================================
data.py          the workloads, the covariance structures and their arithmetic
peers.py         the programs compared, each behind the same few methods
numpy_twin.py    a vectorised EM in plain NumPy, one of the peers
measure.py       how time is measured: in turn, in rounds, medians
families.py      mixtures of exponential families: workloads and programs
groups.py        what is measured: iterations, whole fits, small fits, predictions
report.py        tables, plain and Markdown
quality.py       final log-likelihoods beside scikit-learn's: ``python -m benchmarks.quality``
test_kernels.py  micro-benchmarks for pytest-benchmark
===============  ==================================================================
"""
