"""Words in images: outlines with transcriptions."""
