"""Packs that ship with Freehold, each a job family; runners load them, the daemon never does."""
