"""A recording as one page: what came, what was made of it, and how well."""
