"""A host for every VM that comes to a data centre, chosen by what it does to the others there."""
