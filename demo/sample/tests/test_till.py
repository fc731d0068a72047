import unittest

from till.money import discounted, format_amount, parse_amount
from till.receipt import render_receipt
from till.report import render_report
from till.sales import read_sales

SALES = """\
# receipt, article, unit price, quantity, discount
17,apple juice,2.40,2,0
17,gum,0.29,3,0
18,bread,4.35,1,10
18,postcard,€ 0.57,1,0
"""


class MoneyTest(unittest.TestCase):
    def test_reads_both_separators(self):
        self.assertEqual(parse_amount("2.40"), 240)
        self.assertEqual(parse_amount(" 2,5 "), 250)

    def test_writes_two_decimals(self):
        self.assertEqual(format_amount(5), "0.05")
        self.assertEqual(format_amount(-1234), "-12.34")

    def test_discount_rounds_for_the_customer(self):
        self.assertEqual(discounted(435, 10), 391)

    def test_every_amount_survives_a_round_trip(self):
        for cents in range(0, 100_000):
            self.assertEqual(parse_amount(format_amount(cents)), cents)


class DayTest(unittest.TestCase):
    def setUp(self):
        self.sales = read_sales(SALES.splitlines())

    def test_receipt_adds_up(self):
        self.assertIn("Total                       5.67", render_receipt(self.sales, 17))

    def test_report_adds_up(self):
        self.assertEqual(
            render_report(self.sales).splitlines(),
            ["apple juice: 4.80", "bread: 3.91", "gum: 0.87", "postcard: 0.57", "total: 10.15"],
        )


if __name__ == "__main__":
    unittest.main()
