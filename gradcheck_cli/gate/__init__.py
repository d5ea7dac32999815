"""What counts of the findings: suppressions, baseline, comparison with an earlier report."""
