"""Images of a user: read from a folder, an archive or a package, checked, and kept as arrays."""
