"""The trusted core: who acts, what they may do, what it costs, what was done. Only the daemon holds it."""
