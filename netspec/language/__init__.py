"""The language of specs: syntax tree, parser, formatter and expressions."""
