"""The repository as control plane: what main says, the forge beside it, the ledger, and changes asked of main."""
