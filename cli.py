"""Run mpsearch from a bare checkout: ``python cli.py allocate --budget 4.5bpw``."""

from mpsearch.cli import main

if __name__ == "__main__":
    main()
