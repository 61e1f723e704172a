"""The command: up, down, status, and what is inside."""
