"""One process on this machine: put together, started, found and stopped."""
