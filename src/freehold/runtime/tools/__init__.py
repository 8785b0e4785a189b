"""The tools that an agent is shown: each file one group of them, a kit of the toolbox."""
