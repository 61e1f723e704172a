from promotion.towns import gated_template, new_gated_here, new_town_here, town_template

__all__ = ["gated_template", "new_gated_here", "new_town_here", "town_template"]
