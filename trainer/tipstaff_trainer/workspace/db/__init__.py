"""The database: engine, schema and migrations, full-text search."""
