"""What runs on a compute node, and the AiiDA classes that start it."""
