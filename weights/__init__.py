"""The weights that the project ships and how they were made; not part of the installed package."""
