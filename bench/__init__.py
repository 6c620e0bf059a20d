"""What is measured, side by side with others, in one command each."""
