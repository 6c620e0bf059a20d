"""Tables of every shape, and the way of each from a file to answers."""
