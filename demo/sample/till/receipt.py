"""The receipt that a customer gets."""

from till.money import format_amount, parse_amount

WIDTH = 32


def render_receipt(sales, number):
    """Write the receipt with the given number, one line an article and the total."""
    lines = [f"Receipt {number}".center(WIDTH).rstrip(), ""]
    total = 0
    for sale in sales:
        if sale.receipt != number:
            continue
        amount = format_amount(sale.total)
        name = f"{sale.quantity} x {sale.article}"
        lines.append(f"{name:<{WIDTH - 10}}{amount:>10}")
        # The printed amounts are what is added up, so that a customer can check the sum.
        total += parse_amount(amount)
    lines.append(f"{'Total':<{WIDTH - 10}}{format_amount(total):>10}")
    return "\n".join(lines)
