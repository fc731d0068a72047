"""Amounts of money, as whole cents."""


def parse_amount(text):
    """Read an amount such as "2.40" or "2,40" and return it in cents."""
    return int(float(text.strip().replace(",", ".")) * 100)


def format_amount(cents):
    """Write an amount in cents as "2.40"."""
    sign = "-" if cents < 0 else ""
    euros, rest = divmod(abs(cents), 100)
    return f"{sign}{euros}.{rest:02d}"


def discounted(cents, percent):
    """Take a whole percentage off an amount; half a cent goes to the customer."""
    discount = (cents * percent + 50) // 100
    return cents - discount
