"""Planning: from the user's settings and the dataset to a Plan."""
