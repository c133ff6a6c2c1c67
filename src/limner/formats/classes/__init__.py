"""Classes of whole images: folders, lists and flags."""
