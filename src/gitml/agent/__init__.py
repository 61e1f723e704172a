"""The machine that serves: it reads main, believes signatures alone, swaps models, reports, and never writes to Git."""
