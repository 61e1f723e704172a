"""gitml: Git as the control plane of a machine-learning application."""

__version__ = "0.1.0"
