"""The command line."""

import argparse

from till.receipt import render_receipt
from till.report import render_report
from till.sales import read_sales


def main(arguments):
    parser = argparse.ArgumentParser(prog="till")
    commands = parser.add_subparsers(dest="command", required=True)
    receipt = commands.add_parser("receipt", help="print one receipt")
    receipt.add_argument("file")
    receipt.add_argument("number", type=int)
    report = commands.add_parser("report", help="print the report of the day")
    report.add_argument("file")
    options = parser.parse_args(arguments)

    with open(options.file, newline="", encoding="utf-8") as lines:
        sales = read_sales(lines)
    if options.command == "receipt":
        print(render_receipt(sales, options.number))
    else:
        print(render_report(sales))
    return 0
