"""The assistant: an agent that thinks, works towards a goal with the tools that its job names, and asks its owner."""
