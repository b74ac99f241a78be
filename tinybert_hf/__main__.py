"""`python -m tinybert_hf` is the command `tinybert`."""

from tinybert_hf.cli import main

if __name__ == "__main__":
    main()
