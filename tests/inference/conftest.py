from agent.running import agent_world, world
from inference.clusters import flink_cluster, flink_processes, standalone

__all__ = ["agent_world", "flink_cluster", "flink_processes", "standalone", "world"]
