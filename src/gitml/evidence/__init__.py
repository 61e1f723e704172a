"""Evidence: statements, signatures, whom to believe, and the audit of all of it."""
