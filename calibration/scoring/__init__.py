"""How trials are scored: folds, accuracies, permutations, verdicts."""
