"""The tools that benchmarks.drift runs, each as a script in an environment of its own: REFERENCE LIVE, both Parquet.

A script prepares what its tool would store, then measures CPU seconds (all threads) of reading the live rows and of
comparing them, and prints them with the peak of memory and the columns that drifted. Scripts stand alone: their
environments do not have gitml.
"""
