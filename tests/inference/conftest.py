from agent.running import agent_world, world
from inference.clusters import flink_cluster, standalone

__all__ = ["agent_world", "flink_cluster", "standalone", "world"]
