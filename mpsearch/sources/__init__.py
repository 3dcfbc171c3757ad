"""What ``--model``, ``--weights`` and ``--data`` point at, loaded or digested."""
