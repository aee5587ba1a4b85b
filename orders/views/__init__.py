"""Pages of orders: blotter and order, ticket, books, dead letters."""
