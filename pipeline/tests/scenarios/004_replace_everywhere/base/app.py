import os

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/users")
def users():
    limit = int(request.args.get("limit", 10))
    return jsonify(load("users", limit))


@app.route("/orders")
def orders():
    limit = int(request.args.get("limit", 10))
    return jsonify(load("orders", limit))


def load(table, limit):
    if limit > 100:
        raise ValueError("limit is too large")
    return query(f"SELECT * FROM {table} LIMIT {limit}")
