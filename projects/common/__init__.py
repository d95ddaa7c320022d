"""What all tasks share: generated demo data and the pictures of a run."""
