"""Looks up what a customer owes and has it paid; a plain script."""

import sys

from freehold.sdk.remote import connect

session = connect()


@session.governed
def look_up(customer: str) -> int:
    """Return what a customer owes, in cents."""
    return {"tea house": 250}.get(customer, 0)


@session.governed
def pay(customer: str, cents: int) -> str:
    """Pay."""
    print(f"paying {cents} for {customer}", flush=True)
    return "paid"


def main(customer: str) -> None:
    """Do it."""
    print(pay(customer, look_up(customer)))


if __name__ == "__main__":
    main(sys.argv[1])
