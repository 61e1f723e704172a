"""A topic's messages through the versions of an environment: consumed, answered and produced in one transaction."""
