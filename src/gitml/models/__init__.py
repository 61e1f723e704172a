"""A model file becomes a loaded model: formats, loaders, signature, ensembles, parity with its sample rows."""
