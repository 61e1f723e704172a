"""Versions used on this machine: score files, serve over HTTP, add labels."""
