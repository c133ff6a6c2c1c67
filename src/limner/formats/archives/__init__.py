"""Images and labels in tar archives, as WebDataset names them."""
