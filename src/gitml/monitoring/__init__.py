"""Live traffic held against a reference: which columns have moved, how far, and how sure that is."""
