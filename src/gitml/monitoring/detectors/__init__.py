"""Methods that look at rows rather than counts, one a file, behind the Protocol in ``detector``."""
