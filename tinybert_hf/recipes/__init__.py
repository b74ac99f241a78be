"""A whole run as one value: recipes in YAML, their schema, their loader, and what carries them out."""
