"""A fuzzer: for random and damaged inputs, netspec must return a result or a one-sentence error."""
