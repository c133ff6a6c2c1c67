"""What the user wrote and what the data is, made into a Plan."""
