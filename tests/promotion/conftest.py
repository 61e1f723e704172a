from agent.running import agent_world, world
from forges.fixtures import chaos, kit

__all__ = ["agent_world", "chaos", "kit", "world"]
