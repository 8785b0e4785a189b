"""Rules that turn rows of text into the five fields of a receipt; no model, no list of merchants."""
