"""Sales, as they are read from a CSV file."""

import csv
from dataclasses import dataclass

from till.money import discounted


@dataclass(frozen=True)
class Sale:
    receipt: int
    article: str
    unit_price: int
    quantity: int
    discount: int

    @property
    def total(self):
        """What the customer pays for this line, in cents."""
        return discounted(self.unit_price * self.quantity, self.discount)


def read_sales(lines):
    """Read sales from the lines of a CSV file; blank lines and comments are skipped."""
    sales = []
    for number, row in enumerate(csv.reader(lines), start=1):
        if not row or row[0].startswith("#"):
            continue
        if len(row) != 5:
            raise ValueError(f"line {number}: expected 5 columns, found {len(row)}")
        receipt, article, price, quantity, discount = (cell.strip() for cell in row)
        # Spreadsheets export prices with a currency sign.
        price = price.removeprefix("€").strip()
        cents = int(float(price) * 100)
        sales.append(Sale(int(receipt), article, cents, int(quantity), int(discount)))
    return sales
