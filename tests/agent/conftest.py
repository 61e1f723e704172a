from agent.running import agent_world, world
from forges.fixtures import kit

__all__ = ["agent_world", "kit", "world"]
