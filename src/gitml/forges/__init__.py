"""Forges: pull requests, comments, statuses and runs, behind one Protocol."""
