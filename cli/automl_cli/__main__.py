"""``python -m automl_cli`` is ``automl``."""

from automl_cli.main import main

if __name__ == "__main__":
    main()
