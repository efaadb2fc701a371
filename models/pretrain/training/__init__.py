"""Stage I: batches, objective, linear floor and the loop over steps."""
