from forges.fixtures import chaos, kit

__all__ = ["chaos", "kit"]
