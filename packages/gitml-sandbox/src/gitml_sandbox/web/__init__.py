"""Pages for people, without scripts: code, pull requests, runs, settings."""
