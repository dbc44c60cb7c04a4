"""Reference engines: one file each, found by entry point `hashigo.engines`."""
