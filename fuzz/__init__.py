"""A fuzzer: for every random or damaged input, netspec must return a result or a one-sentence error."""
