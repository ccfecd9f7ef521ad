"""Commands of ``gymbal-control``, one a file; heavy imports wait until a command runs."""
