"""Facts about venues as data, one file for each family of exchanges; nothing here decides anything."""
