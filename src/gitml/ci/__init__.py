"""What CI systems execute, as text: rendered from gitml.yaml, checked in, compared. Nothing is read or written here."""
