"""Git: reading, committing without a work tree, orphan branches, the ledger's store."""
