"""A version's way to an environment: promote, gate, merge, override, roll back, status, audit."""
