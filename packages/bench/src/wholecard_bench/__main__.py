"""`python -m wholecard_bench`."""

from wholecard_bench.cli import main

if __name__ == "__main__":
    main()
