from forges.conformance import build, home
from forges.fixtures import chaos, kit, standin

__all__ = ["build", "chaos", "home", "kit", "standin"]
