"""Long work of the text tabs: whole tables and books, in a process of its own, with what is done kept on the way."""
