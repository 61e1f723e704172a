"""Versions made and looked at: train, register, reproduce, compare, diff, show, gc."""
