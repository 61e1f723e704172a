"""DVC behind one adapter, the only package that imports it, with the checks that keep content inside its folder."""
