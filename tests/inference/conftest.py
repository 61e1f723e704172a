from agent.running import agent_world, world

__all__ = ["agent_world", "world"]
