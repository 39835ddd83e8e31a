"""Clients, models and moments that mean harm, against a gateway on a real port."""
