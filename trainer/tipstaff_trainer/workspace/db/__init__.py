"""The database: engine, migrations, full-text search, rows and their models."""
