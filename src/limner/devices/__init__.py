"""What a machine offers: processors, accelerators, number formats, memory."""
