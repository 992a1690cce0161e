"""Data sets: reading and writing files, inserting and querying rows."""
