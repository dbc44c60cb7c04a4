"""The ladder: one WorkChain a stage, and the chain of all."""
