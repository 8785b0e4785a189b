"""The only room that speaks SQL: the journal and the documents beside it, on SQLite and on PostgreSQL."""
