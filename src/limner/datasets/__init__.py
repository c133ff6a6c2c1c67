"""Operations on whole datasets: checking, drawing, splitting, and conversion to other formats."""
