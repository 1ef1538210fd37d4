#!/usr/bin/env python
"""Entry point of every role and command of KubeNova."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    """Run the management command named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kubenova.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
