"""From the provenance graph to packages that others can read."""
