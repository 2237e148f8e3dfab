"""Other programs' words for what sodslice does, so that code written for them runs with another import."""
