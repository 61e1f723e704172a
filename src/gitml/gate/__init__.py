"""The gate of a pull request: facts gathered from Git, forge and ledger, judged by policy, said in words and signed."""
