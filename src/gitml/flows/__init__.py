"""One verb per file: gathers facts, calls capabilities, returns a result."""
