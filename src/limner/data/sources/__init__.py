"""Sources: other layouts of captioned pictures, read one record at a time."""
