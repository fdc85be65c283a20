"""Training: from a checked network and a recipe to saved weights."""
