"""Models: what is known of each, what a call of one may cost, and the form in which it is asked. No I/O of its own."""

from freehold.gateway.asking import Asked, read_asked
from freehold.gateway.endpoints import send_form
from freehold.gateway.models import Model, Models, read_model
from freehold.gateway.prices import Usage, cost_of, most_of, price

__all__ = [
    "Asked",
    "Model",
    "Models",
    "Usage",
    "cost_of",
    "most_of",
    "price",
    "read_asked",
    "read_model",
    "send_form",
]
