"""``python -m app`` is ``tallybook``."""

from app.cli import main

if __name__ == "__main__":
    main()
