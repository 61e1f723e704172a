"""The gates of policy.yaml: one file each, with its key, what it reads, its judgement and its advice.

Pure: facts in, verdict out. ``table.GATES`` names them; policy.yaml's model, the decision, the comment, the schema and
the reference page are all made from that table.
"""
