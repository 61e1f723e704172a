"""How a ref moves, what follows in pull requests, and the events that tell of it in GitHub's webhook format."""
