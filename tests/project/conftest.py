from forges.fixtures import kit

__all__ = ["kit"]
