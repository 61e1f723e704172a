"""By which limits answers are counted: for Prometheus's page, and for the hours that agents sign."""

# In seconds, rising; what takes longer than the last is counted above it.
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
