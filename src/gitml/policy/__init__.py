"""What policy.yaml says of one change of a deployment: gates, approvals, freezes, holds, overrides.

Pure: facts in, verdicts out. ``decision.decide`` is the whole; a gate is a file with one function ``judge``.
"""
