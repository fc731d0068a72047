"""The report of a day."""

from collections import Counter

from till.money import format_amount


def summarise(sales):
    """Return the turnover in cents, by article."""
    turnover = Counter()
    for sale in sales:
        turnover[sale.article] += sale.total
    return turnover


def render_report(sales):
    """Write the turnover by article, the largest first, and the sum of the day."""
    turnover = summarise(sales)
    lines = [f"{article}: {format_amount(cents)}" for article, cents in turnover.most_common()]
    lines.append(f"total: {format_amount(sum(turnover.values()))}")
    return "\n".join(lines)
