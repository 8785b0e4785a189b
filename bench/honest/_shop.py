"""A web shop with the owner's account. Money is in cents of euros."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._spec import NUMBER, TEXT, Row, ToolSpec, tool

if TYPE_CHECKING:
    from .world import World


def shop_search(world: World, query: str, max_price_cents: int | None = None) -> list[Row]:
    words = query.lower().split()
    return [
        {name: row[name] for name in ("id", "name", "price_cents", "rating_of_50", "stock")}
        for row in world.products.values()
        if all(word in f"{row['name']} {row['about']}".lower() for word in words)
        and (max_price_cents is None or row["price_cents"] <= max_price_cents)
    ]


def shop_product(world: World, id: str) -> Row:
    return _product(world, id)


def shop_cart_add(world: World, id: str, quantity: int) -> Row:
    product = _product(world, id)
    if quantity > product["stock"]:
        raise ValueError(f"Of {product['name']} there are only {product['stock']}.")
    world.cart[id] = world.cart.get(id, 0) + quantity
    return _cart(world)


def shop_order(world: World, address: str, payment: str) -> Row:
    if not world.cart:
        raise ValueError("The cart is empty.")
    for kind, chosen in (("addresses", address), ("payments", payment)):
        if chosen not in world.account[kind]:
            raise ValueError(f"{chosen} is not among the saved {kind}.")
    id = world.fresh("o", world.orders)
    world.orders[id] = {
        "id": id,
        "date": world.now[:10],
        **_cart(world),
        "address": address,
        "payment": payment,
        "status": "ordered",
    }
    world.cart.clear()
    return world.orders[id]


def shop_orders(world: World) -> list[Row]:
    return list(world.orders.values())


def shop_return(world: World, order: str, reason: str) -> Row:
    if order not in world.orders:
        raise ValueError(f"There is no order {order}.")
    row = world.orders[order]
    if row["status"] != "delivered":
        raise ValueError(f"The order {order} is {row['status']}, so it cannot be sent back.")
    row.update(status="return asked for", reason=reason)
    return row


def shop_account(world: World) -> Row:
    return world.account


def tools() -> tuple[ToolSpec, ...]:
    return (
        tool(
            shop_search,
            "Find products whose name or description contains every word.",
            {"query": TEXT},
            {"max_price_cents": NUMBER},
        ),
        tool(shop_product, "Show a product with its reviews.", {"id": TEXT}),
        tool(shop_cart_add, "Put a product into the cart.", {"id": TEXT, "quantity": NUMBER}),
        tool(
            shop_order,
            "Order and pay what is in the cart; address and payment are names of saved ones.",
            {"address": TEXT, "payment": TEXT},
        ),
        tool(shop_orders, "List all orders with their state.", {}),
        tool(shop_return, "Ask to send an order back.", {"order": TEXT, "reason": TEXT}),
        tool(shop_account, "Show the saved addresses and means of payment.", {}),
    )


def _product(world: World, id: str) -> Row:
    if id not in world.products:
        raise ValueError(f"There is no product {id}.")
    return world.products[id]


def _cart(world: World) -> Row:
    lines = [{"product": id, "quantity": quantity} for id, quantity in world.cart.items()]
    total = sum(world.products[id]["price_cents"] * quantity for id, quantity in world.cart.items())
    return {"items": lines, "total_cents": total}
