"""Answers of models: loading, signature, router, ensemble, batching, HTTP, prediction log."""
