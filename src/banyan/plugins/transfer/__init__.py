"""Transfer: products that come from files and go into files."""
