"""A forge in memory over a bare repository: the members of ``gitml.forges.table.Adapter``, and the forge itself."""

from gitml.forges.memory.repository import (
    MemoryConnection,
    MemoryForge,
    connect,
    job,
    pull_ref,
    recognises,
    run_page,
    settings,
)

__all__ = ["MemoryConnection", "MemoryForge", "connect", "job", "pull_ref", "recognises", "run_page", "settings"]
