"""Detectors that alibi-detect saved: its univariate tests read and run here, all others in a process of its own."""
