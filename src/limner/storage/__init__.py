"""Files written whole or not at all, and read with an error that names them."""
