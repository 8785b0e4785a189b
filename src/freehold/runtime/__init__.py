"""Runs, plans, jobs and their dispatch: what the daemon does all day, on top of the kernel."""
