from forges.conformance import build, home
from forges.fixtures import chaos, kit

__all__ = ["build", "chaos", "home", "kit"]
