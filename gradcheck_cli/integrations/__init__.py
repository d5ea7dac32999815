"""What brings gradcheck into other tools: thin, on top of the command and the public functions."""
