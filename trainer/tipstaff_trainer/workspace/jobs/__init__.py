"""Jobs: work in processes of their own."""
