"""Write down what all projects declare, for `make lock` to lock: python -m tests.checks.lock."""

from tests.checks.environment import DECLARED, lines
from tests.trees import template

if __name__ == "__main__":
    DECLARED.write_text(lines(template()), "utf-8")
