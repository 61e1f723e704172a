from agent.running import agent_world, world
from forges.fixtures import chaos, kit
from promotion.towns import gated_template, new_gated_here, new_town_here, town_template

__all__ = ["agent_world", "chaos", "gated_template", "kit", "new_gated_here", "new_town_here", "town_template", "world"]
