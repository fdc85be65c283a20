"""A fuzzer: random and damaged input of every kind, each of which must end in a result or in one sentence."""
