"""Real hosts. Each adapter imports what it needs when it is opened, and not before."""
