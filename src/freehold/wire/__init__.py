"""The messages that cross a process border, and how they become bytes. All three towers stand on it."""
