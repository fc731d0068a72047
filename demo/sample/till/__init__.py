"""A small till for market stalls."""
