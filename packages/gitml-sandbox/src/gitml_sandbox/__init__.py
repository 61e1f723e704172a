"""A forge and a runner on one machine, in GitHub's formats: to try, teach, test and evaluate offline."""

__version__ = "0.1.0"
