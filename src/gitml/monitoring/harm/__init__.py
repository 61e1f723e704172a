"""Whether the model is worse than its evaluation said, on labels that have come: its metrics, what its answers
claim, and where its losses changed."""
